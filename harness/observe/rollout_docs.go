package observe

// OfRollouts are observations of a rolling update behind a load balancer: what clients got, and what happened to pods and targets meanwhile.
//
// The update is the first kubectl set image, patch or rollout restart of the timeline, or the crash of a node. Counts, minima and maxima cover the time
// from the update on, or all of the client's time if there is none. Moments count from the first deletion of one of the Deployment's pods from then on; in
// a run without one, and where a node crashes, from the update, and without an update from the client's start.
const OfRollouts Family = "rollouts"

// rolloutDocs documents them.
var rolloutDocs = family(OfRollouts, simOnly,
	Doc{Name: "requests", Type: "number", Unit: "requests", Meaning: "Requests that were sent from the update on."},
	Doc{Name: "requestsInAll", Type: "number", Unit: "requests", Meaning: "Requests that were sent, those before the update with them."},
	Doc{Name: "answersOfPods", Type: "number", Unit: "requests", Meaning: "Requests that a pod answered whole, with whatever status."},
	Doc{Name: "errors", Type: "number", Unit: "requests", Meaning: "Requests that no pod answered: the load balancer did, with a status of its own, or nobody."},
	Doc{Name: "errors502", Type: "number", Unit: "requests", Meaning: "Requests that the load balancer answered with HTTP 502."},
	Doc{Name: "errors503", Type: "number", Unit: "requests", Meaning: "Requests that the load balancer answered with HTTP 503."},
	Doc{Name: "errors504", Type: "number", Unit: "requests", Meaning: "Requests that the load balancer answered with HTTP 504."},
	Doc{Name: "failedConnections", Type: "number", Unit: "requests", Meaning: "Requests that ended without any HTTP answer: the connection was refused, reset, timed out or closed without a word."},
	Doc{Name: "answers50x", Type: "number", Unit: "requests", Meaning: "Answers with HTTP 502, 503 or 504, from whomever: what grep 50[234] finds in curl -I's output."},
	Doc{Name: "errorsByNode", Type: "map", Unit: "requests", Meaning: "errors by the load balancer's node that the client was connected to."},
	Doc{Name: "errorsByReason", Type: "map", Unit: "requests", Meaning: "The load balancer's own answers by status and reason."},
	Doc{Name: "errorTimesSeconds", Type: "list", Unit: "s", Meaning: "Moments at which the requests were sent that are among errors."},
	Doc{Name: "longestAnswerSeconds", Type: "number", Unit: "s", Meaning: "Longest time from a request to its answer, whoever gave it."},
	Doc{Name: "slow502s", Type: "number", Unit: "requests", Meaning: "Requests that the load balancer answered with HTTP 502 after a second or more."},
	Doc{Name: "early504s", Type: "number", Unit: "requests", Meaning: "Requests that the load balancer answered with HTTP 504 in less than 10 s."},
	Doc{Name: "lastOldAnswerSeconds", Type: "number", Unit: "s", Meaning: "Moment of the last answer of a pod that was made before the update."},
	Doc{Name: "firstNewAnswerSeconds", Type: "number", Unit: "s", Meaning: "Moment of the first answer of a pod that the update made."},
	Doc{Name: "oldAndNewSeconds", Type: "number", Unit: "s", Meaning: "How long old and new pods answered side by side: from the first answer of a new one to the last of an old one; 0 if they did not."},
	Doc{Name: "curlExitCodes", Type: "map", Unit: "requests", Meaning: "Requests by curl's exit code."},
	Doc{Name: "answersOverTime", Type: "map", Unit: "", Meaning: "A chart: a column is a length of time from the client's start (see its last line), a row who answered in it."},

	Doc{Name: "minReadyEndpoints", Type: "number", Unit: "endpoints", Meaning: "Least number of ready addresses in the Service's EndpointSlices."},
	Doc{Name: "maxReadyEndpoints", Type: "number", Unit: "endpoints", Meaning: "Greatest number of ready addresses in the Service's EndpointSlices."},
	Doc{Name: "minAvailableReplicas", Type: "number", Unit: "pods", Meaning: "Least status.availableReplicas of the Deployment."},
	Doc{Name: "maxPods", Type: "number", Unit: "pods", Meaning: "Most pods of the Deployment at a time, those that are being deleted with them."},
	Doc{Name: "maxPodsNotTerminating", Type: "number", Unit: "pods", Meaning: "Most pods of the Deployment at a time that are not being deleted."},
	Doc{Name: "maxPodsTerminating", Type: "number", Unit: "pods", Meaning: "Most pods of the Deployment at a time that are being deleted."},
	Doc{Name: "replicaSteps", Type: "list", Unit: "", Meaning: "spec.replicas of the new ReplicaSet and of the old ones together, as [new, old], after each change."},
	Doc{Name: "rolloutSeconds", Type: "number", Unit: "s", Meaning: "From the update until the Deployment's status says that all pods are new and available; with several updates, of the first."},
	Doc{Name: "rolloutComplete", Type: "bool", Unit: "", Meaning: "Whether that was reached."},
	Doc{Name: "rolloutStatus", Type: "list", Unit: "", Meaning: "What kubectl rollout status prints, started one second after the update; each message once, without what is the same in all."},
	Doc{Name: "progressingReason", Type: "string", Unit: "", Meaning: "Reason of the Deployment's condition Progressing at the end."},
	Doc{Name: "stalledAfterSeconds", Type: "number", Unit: "s", Meaning: "From the update until the Deployment's condition Progressing had the reason ProgressDeadlineExceeded."},
	Doc{Name: "podsDeleted", Type: "number", Unit: "pods", Meaning: "Pods of the Deployment whose deletion was asked for."},
	Doc{Name: "stopSignalAfterSeconds", Type: "number", Unit: "s", Meaning: "Longest time from a pod's deletion until the last of its containers got the stop signal."},
	Doc{Name: "sigkills", Type: "number", Unit: "containers", Meaning: "Containers that had to be ended by SIGKILL."},
	Doc{Name: "sigkillAfterSeconds", Type: "number", Unit: "s", Meaning: "Longest time from a pod's deletion until its container got SIGKILL."},
	Doc{Name: "events", Type: "map", Unit: "events", Meaning: "Events of the Kubernetes API in the Deployment's namespace, by reason, each as often as it was counted."},
	Doc{Name: "podsWithGate", Type: "number", Unit: "pods", Meaning: "Pods with a readiness gate, when the update begins; in a run without one at the end."},
	Doc{Name: "podsWithGateAtEnd", Type: "number", Unit: "pods", Meaning: "Pods with a readiness gate at the end."},
	Doc{Name: "gateConditions", Type: "list", Unit: "", Meaning: "Readiness gates' conditions at the end, as status and reason, each once."},

	Doc{Name: "registerTargetsCalls", Type: "number", Unit: "calls", Meaning: "Calls of RegisterTargets that succeeded."},
	Doc{Name: "deregisterTargetsCalls", Type: "number", Unit: "calls", Meaning: "Calls of DeregisterTargets that succeeded."},
	Doc{Name: "targetsRegistered", Type: "number", Unit: "targets", Meaning: "Targets in those calls of RegisterTargets."},
	Doc{Name: "targetsDeregistered", Type: "number", Unit: "targets", Meaning: "Targets in those calls of DeregisterTargets."},
	Doc{Name: "mostTargetsPerCall", Type: "number", Unit: "targets", Meaning: "Most targets in one of those calls."},
	Doc{Name: "firstDeregisterSeconds", Type: "number", Unit: "s", Meaning: "Moment of the first DeregisterTargets, as CloudTrail has it."},
	Doc{Name: "lastDeregisterSeconds", Type: "number", Unit: "s", Meaning: "Moment of the last DeregisterTargets, as CloudTrail has it."},
	Doc{Name: "deregisterLagSeconds", Type: "number", Unit: "s", Meaning: "Longest time from a pod's deletion to the DeregisterTargets call with its address."},
	Doc{Name: "usedAfterDeregisterSeconds", Type: "number", Unit: "s", Meaning: "Longest time from a DeregisterTargets call until a node of the load balancer still chose the target; 0 if none did."},
	Doc{Name: "targetStates", Type: "list", Unit: "", Meaning: "What DescribeTargetHealth says, whenever it changes: the moment, and how many targets are in each state."},
	Doc{Name: "minHealthyTargets", Type: "number", Unit: "targets", Meaning: "Least number of healthy targets."},
	Doc{Name: "maxTargetsListed", Type: "number", Unit: "targets", Meaning: "Most targets that DescribeTargetHealth lists at a time, draining ones with them."},
	Doc{Name: "maxTargetsDraining", Type: "number", Unit: "targets", Meaning: "Most draining targets at a time."},
	Doc{Name: "firstUnhealthySeconds", Type: "number", Unit: "s", Meaning: "Moment at which DescribeTargetHealth first called a target unhealthy."},
	Doc{Name: "plateau", Type: "map", Unit: "", Meaning: "First time that targets stayed initial for 5 s or longer, with as many healthy and as many initial ones all along: how many, and for how long."},
)
