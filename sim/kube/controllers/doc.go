// Package controllers is the controllers of kube-controller-manager that turn Deployments into pods and Services into endpoints.
//
// Models: Deployments: rolling updates within maxSurge and maxUnavailable, Recreate, proportional scaling, pauses, revisions and their limit, the
// progress deadline, conditions, and what kubectl rollout status says of them; ReplicaSets: pods in growing batches, expectations, adoption of orphans,
// who goes first when there are too many, minReadySeconds; EndpointSlices with their conditions, of 100 endpoints each; background garbage collection;
// nodes that fall silent: not ready after the grace period, taints, eviction. Statuses and Events.
// Does not model: orphaning and foreground deletion, rollback by spec.rollbackTo, hash collisions of templates beyond their counter, topology hints,
// Endpoints objects, limits on the rate of evictions.
// Unlike Kubernetes: a ReplicaSet is looked at again only when a change of a pod matters to it; there is no periodic resync.
// Sources: kubernetes/kubernetes pkg/controller/deployment, replicaset, garbagecollector, nodelifecycle, tainteviction; staging/src/k8s.io/endpointslice.
package controllers
