// Package controllers is the controllers of kube-controller-manager that turn Deployments into pods and Services into endpoints.
//
// Models: a Deployment's ReplicaSet and its scaling, a ReplicaSet's pods (in growing batches), which of them go first, and the adoption of orphans;
// a DaemonSet's pods, one on each node that it fits, and their rolling update; the taints of nodes that are not ready; EndpointSlices from ready pods;
// statuses.
// Does not model yet: a changed template of a Deployment (rolling updates), slices of more than 100 endpoints. Asking for them ends the run with
// engine.ErrNotModelled.
// Sources: kubernetes/kubernetes pkg/controller/deployment, replicaset, endpointslice.
package controllers
