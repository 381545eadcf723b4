// Package kube is the Kubernetes API: a store of k8s.io/api objects with resource versions, watches that lag behind it, and defaults that the
// API server fills in.
//
//	cluster := kube.New(engine, log, kube.Options{})
//	client := cluster.As(kube.Caller{User: "kubectl"})
//	pod, err := client.Create(&corev1.Pod{…})                       // *corev1.Pod, as stored
//	pod, err := kube.Get[*corev1.Pod](client, "default", "web")     // a read of the store
//	pods := kube.NewInformer[*corev1.Pod](cluster)                  // a cache that lags
//	pods.Handle(func(old, now *corev1.Pod) { … })                   // nil: did not exist, or exists no more
//
// Stored objects are immutable and shared: whoever wants to change one changes a DeepCopy and writes it back.
//
// Models: optimistic locking, generations, finalizers, graceful deletion of pods, preconditions, namespaces that must exist, the API server's checks of
// pods and Deployments, strategic merge patches of objects and their status, mutating webhooks, allocation of cluster IPs and node ports, generated
// names, an audit log of changes, Events as recorders aggregate them; informers with indexes; work queues with back-off.
// Does not model yet: authentication and authorization (every caller may do everything), server-side apply, API latency but that of webhooks.
// Sources: kubernetes/kubernetes staging/src/k8s.io/apiserver, client-go tools/cache, util/workqueue; each constant names its own.
package kube
