package linux

// Drop reasons by the kernel's names, so that they can be looked up and found in dropwatch or perf.
// Source: Linux include/net/dropreason-core.h.
const (
	DropNoSocket      = "SKB_DROP_REASON_NO_SOCKET"
	DropLocalSource   = "SKB_DROP_REASON_IP_LOCAL_SOURCE"
	DropRPFilter      = "SKB_DROP_REASON_IP_RPFILTER"
	DropInNoRoutes    = "SKB_DROP_REASON_IP_INNOROUTES"
	DropOutNoRoutes   = "SKB_DROP_REASON_IP_OUTNOROUTES"
	DropInvalidSource = "SKB_DROP_REASON_IP_INVALID_SOURCE"
	DropNetfilter     = "SKB_DROP_REASON_NETFILTER_DROP"
	DropTTL           = "SKB_DROP_REASON_IP_INHDR" // ip_forward counts it with malformed headers
	DropTooBig        = "SKB_DROP_REASON_PKT_TOO_BIG"
	DropTCPFlags      = "SKB_DROP_REASON_TCP_FLAGS"
	DropTCPReset      = "SKB_DROP_REASON_TCP_RESET"
	DropTCPOldData    = "SKB_DROP_REASON_TCP_OLD_DATA"
	DropTCPOutOfOrder = "SKB_DROP_REASON_TCP_OFOMERGE"
	DropTCPClose      = "SKB_DROP_REASON_TCP_CLOSE"
	DropOtherHost     = "SKB_DROP_REASON_OTHERHOST"
	DropNotReady      = "SKB_DROP_REASON_DEV_READY"
	DropBacklog       = "SKB_DROP_REASON_SOCKET_BACKLOG"
)
