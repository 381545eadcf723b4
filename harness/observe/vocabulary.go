package observe

// All returns every observation that a scenario may name.
func All() Vocabulary {
	v := Vocabulary{}
	for _, d := range docs {
		v[d.Name] = d
	}
	return v
}

var both = []string{"sim", "kind"}

// Meanings are written for a reader of `ekslab list -o json`; a definition stands here once and nowhere else.
var docs = []Doc{
	{"connections", "number", "calls", "Calls the client began; one call is one run of curl.", both},
	{"hungConnections", "number", "calls", "Calls whose first connection got no SYN-ACK from the address it dialled.", both},
	{"hungRatio", "number", "1", "hungConnections as a share of connections.", both},
	{"answered200Ratio", "number", "1", "Share of the calls that ended with HTTP 200, by whichever address.", both},
	{"slowestAnswerSeconds", "number", "s", "Longest time from the start of a call to its HTTP 200.", both},
	{"hungTargetNodes", "list", "", "Names of the nodes that received the SYNs of hung connections, sorted.", both},
	{"clientNodeName", "string", "", "Name of the node that the client pod runs on.", both},
	{"synsPerHungConnection", "number", "packets", "SYNs that the client sent per hung connection (mean).", both},
	{"synOffsetsSeconds", "list", "s", "Times of one hung connection's SYNs, from its first.", both},
	{"synAcksToClientPerHungConnection", "number", "packets", "SYN-ACKs that reached the client per hung connection, from whatever address (mean).", both},
	{"rstsPerHungConnection", "number", "packets", "RSTs that the client sent per hung connection (mean).", both},
	{"backendHalfOpen", "number", "sockets", "Sockets of hung connections that a backend held in SYN-RECV until its own timer, since neither ACK nor RST came.", both},
	{"connectTimeoutSeconds", "number", "s", "Time from connect(), which sends the first SYN, until a hung connection failed with ETIMEDOUT (mean).", both},
	{"registeredTargets", "number", "targets", "Targets registered with the Service's target group at the end.", both},
	{"healthyTargets", "number", "targets", "Targets that DescribeTargetHealth calls healthy at the end.", both},
	{"hungRatioByAddress", "map", "1", "hungRatio by the load balancer address that the call dialled first.", both},
	{"nlbPackets", "number", "packets", "Packets of the clients that arrived at an address of the load balancer, without health checks.", both},
	{"nodePortPackets", "number", "packets", "Packets of the clients that arrived at a node for the Service's node port, without health checks.", both},
	{"backendDraws", "map", "draws", "How often kube-proxy chose each backend for a SYN at the node port, by pod address.", both},
}
