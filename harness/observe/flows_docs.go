package observe

// flowDocs documents what is observed of calls through a load balancer and of their connections.
var flowDocs = family(OfFlows, both,
	Doc{Name: "connections", Type: "number", Unit: "calls", Meaning: "Calls the client began; one call is one run of curl."},
	Doc{Name: "hungConnections", Type: "number", Unit: "calls", Meaning: "Calls whose first connection got no SYN-ACK from the address it dialled."},
	Doc{Name: "hungRatio", Type: "number", Unit: "1", Meaning: "hungConnections as a share of connections."},
	Doc{Name: "answered200Ratio", Type: "number", Unit: "1", Meaning: "Share of the calls that ended with HTTP 200, by whichever address."},
	Doc{Name: "slowestAnswerSeconds", Type: "number", Unit: "s", Meaning: "Longest time from the start of a call to its HTTP 200."},
	Doc{Name: "hungTargetNodes", Type: "list", Unit: "", Meaning: "Names of the nodes that received the SYNs of hung connections, sorted."},
	Doc{Name: "clientNodeName", Type: "string", Unit: "", Meaning: "Name of the node that the client pod runs on."},
	Doc{Name: "synsPerHungConnection", Type: "number", Unit: "packets", Mean: true, Meaning: "SYNs that the client sent per hung connection (mean)."},
	Doc{Name: "synOffsetsSeconds", Type: "list", Unit: "s", Meaning: "Times of one hung connection's SYNs, from its first."},
	Doc{Name: "synAcksToClientPerHungConnection", Type: "number", Unit: "packets", Mean: true, Meaning: "SYN-ACKs that reached the client per hung connection, from whatever address (mean)."},
	Doc{Name: "rstsPerHungConnection", Type: "number", Unit: "packets", Mean: true, Meaning: "RSTs that the client sent per hung connection (mean)."},
	Doc{Name: "backendHalfOpen", Type: "number", Unit: "sockets", Meaning: "Sockets of hung connections that a backend held in SYN-RECV until its own timer, since neither ACK nor RST came."},
	Doc{Name: "connectTimeoutSeconds", Type: "number", Unit: "s", Meaning: "Time from connect(), which sends the first SYN, until a hung connection failed with ETIMEDOUT (mean)."},
	Doc{Name: "registeredTargets", Type: "number", Unit: "targets", Meaning: "Targets registered with the Service's target group at the end."},
	Doc{Name: "healthyTargets", Type: "number", Unit: "targets", Meaning: "Targets that DescribeTargetHealth calls healthy at the end."},
	Doc{Name: "hungRatioByAddress", Type: "map", Unit: "1", Addressed: true, Meaning: "hungRatio by the load balancer address that the call dialled first."},
	Doc{Name: "nlbPackets", Type: "number", Unit: "packets", Meaning: "Packets of the clients that arrived at an address of the load balancer, without health checks."},
	Doc{Name: "nodePortPackets", Type: "number", Unit: "packets", Meaning: "Packets of the clients that arrived at a node for the Service's node port, without health checks."},
	Doc{Name: "backendDraws", Type: "map", Unit: "draws", Addressed: true, Meaning: "How often kube-proxy chose each backend for a SYN at the node port, by pod address."},
)
