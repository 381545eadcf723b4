package ipamd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
)

// Settings is what the daemon reads from its environment.
type Settings struct {
	WarmENITarget, WarmIPTarget, MinimumIPTarget, WarmPrefixTarget int
	// MaxENI is zero for no limit but the instance type's.
	MaxENI           int
	PrefixDelegation bool
	CustomNetworking bool
	SubnetDiscovery  bool
	ManageCordoned   bool
	ENIConfigLabel   string
	ENIConfigNote    string
	ClusterName      string
	LeakCleanup      bool
	// IPCooldown is how long an address that a pod gave back is not given to another.
	IPCooldown time.Duration

	// failure is why the container's entry point refuses to start, if it does.
	failure error
}

// ipCooldown is how long a released pod address stays unassignable unless IP_COOLDOWN_PERIOD says otherwise; it still belongs to its interface meanwhile.
// Source: aws/amazon-vpc-cni-k8s pkg/ipamd/datastore/data_store.go (addressCoolingPeriod, later defaultIPCooldown).
const ipCooldown = 30 * time.Second

// defaultENIConfigKey is the label and the annotation of a node that names its ENIConfig.
// Source: aws/amazon-vpc-cni-k8s pkg/eniconfig/eniconfig.go.
const defaultENIConfigKey = "k8s.amazonaws.com/eniConfig"

// manifest is the environment that the manifest of the add-on sets, as far as it matters here.
// Source: aws/amazon-vpc-cni-k8s config/master/aws-k8s-cni.yaml, the same in all versions modelled.
var manifest = map[string]string{"WARM_ENI_TARGET": "1", "WARM_PREFIX_TARGET": "1", "ENABLE_PREFIX_DELEGATION": "false", "ENABLE_IPv4": "true", "ENABLE_IPv6": "false",
	"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "false", "ENABLE_POD_ENI": "false", "DISABLE_NETWORK_RESOURCE_PROVISIONING": "false"}

// ManifestEnv is the environment of the container aws-node as the add-on's manifest sets it, with env over it.
func ManifestEnv(v Version, env map[string]string) map[string]string {
	out := maps.Clone(manifest)
	if v.SubnetDiscovery {
		out["ENABLE_SUBNET_DISCOVERY"] = "true"
	}
	maps.Copy(out, env)
	return out
}

// quiet are variables that change nothing that is modelled.
var quiet = []string{"ADDITIONAL_ENI_TAGS", "AWS_VPC_CNI_NODE_PORT_SUPPORT", "AWS_VPC_ENI_MTU", "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER", "AWS_VPC_K8S_CNI_LOGLEVEL", "AWS_VPC_K8S_CNI_LOG_FILE",
	"AWS_VPC_K8S_CNI_RANDOMIZESNAT", "AWS_VPC_K8S_PLUGIN_LOG_FILE", "AWS_VPC_K8S_PLUGIN_LOG_LEVEL", "DISABLE_INTROSPECTION", "DISABLE_METRICS", "INTROSPECTION_BIND_ADDRESS", "MY_NODE_NAME",
	"MY_POD_NAME", "NETWORK_POLICY_ENFORCING_MODE", "VPC_CNI_VERSION", "VPC_ID"}

// fixed are variables of which one value is modelled.
var fixed = map[string]string{"ENABLE_IPv4": "true", "ENABLE_IPv6": "false", "ENABLE_POD_ENI": "false", "DISABLE_NETWORK_RESOURCE_PROVISIONING": "false", "ENABLE_MULTI_NIC": "false",
	"ENABLE_IMDS_ONLY_MODE": "false", "ANNOTATE_POD_IP": "false", "MANAGE_UNTAGGED_ENI": "true", "AWS_VPC_K8S_CNI_EXTERNALSNAT": "false", "AWS_VPC_K8S_CNI_VETHPREFIX": "eni",
	"DISABLE_TCP_EARLY_DEMUX": "false", "ENABLE_BANDWIDTH_PLUGIN": "false"}

// ReadSettings reads an environment as a version does: numbers that are none, and negative ones, are as if they were not set. It returns an error that
// wraps engine.ErrNotModelled for a variable that is not modelled.
func ReadSettings(v Version, env map[string]string) (Settings, error) {
	s := Settings{WarmENITarget: 1, LeakCleanup: true, IPCooldown: ipCooldown, SubnetDiscovery: v.SubnetDiscovery, ENIConfigLabel: defaultENIConfigKey, ENIConfigNote: defaultENIConfigKey}
	number := func(text string, to *int) {
		if n, err := strconv.Atoi(text); err == nil && n >= 0 {
			*to = n
		}
	}
	flag := func(text string, to *bool) {
		if b, err := strconv.ParseBool(text); err == nil {
			*to = b
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		text := env[name]
		switch name {
		case "WARM_ENI_TARGET":
			number(text, &s.WarmENITarget)
		case "WARM_IP_TARGET":
			number(text, &s.WarmIPTarget)
		case "MINIMUM_IP_TARGET":
			number(text, &s.MinimumIPTarget)
		case "WARM_PREFIX_TARGET":
			number(text, &s.WarmPrefixTarget)
		case "MAX_ENI":
			number(text, &s.MaxENI)
		case "ENABLE_PREFIX_DELEGATION":
			flag(text, &s.PrefixDelegation)
		case "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG":
			flag(text, &s.CustomNetworking)
		case "ENABLE_SUBNET_DISCOVERY":
			if v.SubnetDiscovery {
				flag(text, &s.SubnetDiscovery)
			}
		case "AWS_MANAGE_ENIS_NON_SCHEDULABLE":
			flag(text, &s.ManageCordoned)
		case "DISABLE_LEAKED_ENI_CLEANUP":
			no := false
			flag(text, &no)
			s.LeakCleanup = !no
		case "ENI_CONFIG_LABEL_DEF":
			s.ENIConfigLabel = cmp.Or(text, defaultENIConfigKey)
		case "ENI_CONFIG_ANNOTATION_DEF":
			s.ENIConfigNote = cmp.Or(text, defaultENIConfigKey)
		case "CLUSTER_NAME":
			s.ClusterName = text
		case "IP_COOLDOWN_PERIOD":
			if !v.CooldownSetting {
				continue
			}
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				s.failure = fmt.Errorf("IP_COOLDOWN_PERIOD MUST be a valid positive integer. %s is invalid", text)
				continue
			}
			s.IPCooldown = time.Duration(n) * time.Second
		default:
			if want, ok := fixed[name]; ok && want == text || slices.Contains(quiet, name) {
				continue
			}
			return s, engine.NotModelled("environment variable %s=%s of aws-node", name, text)
		}
	}
	if s.PrefixDelegation && s.WarmIPTarget == 0 && s.MinimumIPTarget == 0 && s.WarmPrefixTarget == 0 {
		//lint:ignore ST1005 the entry point's own words
		s.failure = fmt.Errorf("Setting WARM_PREFIX_TARGET = 0 is not supported while WARM_IP_TARGET/MINIMUM_IP_TARGET is not set. Please configure either one of the WARM_{PREFIX/IP}_TARGET or MINIMUM_IP_TARGET env variables")
	}
	return s, nil
}

// warmIPDefined says whether addresses are counted one by one; else whole interfaces are, or prefixes.
func (s *Settings) warmIPDefined() bool { return s.WarmIPTarget != 0 || s.MinimumIPTarget != 0 }
