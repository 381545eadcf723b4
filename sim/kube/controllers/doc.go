// Package controllers is the controllers of kube-controller-manager that turn Deployments into pods and Services into endpoints.
//
// Models: a Deployment's ReplicaSet and its scaling, a ReplicaSet's pods (in growing batches) and the adoption of orphans, EndpointSlices from
// ready pods, statuses.
// Does not model yet: a changed template (rolling updates), scaling down, slices of more than 100 endpoints. Asking for them ends the run with
// engine.ErrNotModelled.
// Sources: kubernetes/kubernetes pkg/controller/deployment, replicaset, endpointslice.
package controllers
