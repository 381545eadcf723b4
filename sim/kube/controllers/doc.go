// Package controllers is the controllers of kube-controller-manager that turn Deployments into pods and Services into endpoints.
//
// Models: Deployments: rolling updates, recreation, proportional sizes, revisions, the progress deadline, what kubectl rollout status says;
// ReplicaSets: pods in growing batches, expectations, the choice of victims, the adoption of orphans, minReadySeconds; EndpointSlices of at most
// 100 endpoints, filled with few writes, with their conditions; nodes whose kubelet is silent: their pods' readiness, their taints, eviction.
// Does not model: the garbage collector, but for the slices of a Service that is deleted; time that calls of the API take.
// Sources: kubernetes/kubernetes pkg/controller/deployment, replicaset, endpointslice, nodelifecycle, tainteviction.
package controllers
