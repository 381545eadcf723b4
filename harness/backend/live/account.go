package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

// account is the AWS account of a run, in LocalStack.
type account struct {
	region string
	ec2    *ec2.Client
	elbv2  *elbv2.Client
	s3     *s3.Client

	vpc     string
	subnets []string // of the zones' load balancer nodes
	// said is what is there and what is not, in short lines.
	said []string
}

// edgePort is where LocalStack serves all of its services.
const edgePort = "4566/tcp"

// openAccount starts LocalStack. It is cleaned up by its labels like everything else of a run, so that testcontainers' own reaper, which is one more image
// from a registry, is not needed.
func openAccount(ctx context.Context, run, owner, image, region string) (*account, error) {
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		return nil, err
	}
	tclog.SetDefault(tclog.NewNoopLogger()) // it greets on standard error
	c, err := testcontainers.Run(ctx, image,
		testcontainers.WithName(prefix+run+"-localstack"),
		testcontainers.WithLabels(map[string]string{labelRun: run, labelOwner: owner}),
		// It serves two services, asks nothing of the internet, and is no resolver.
		testcontainers.WithEnv(map[string]string{"SERVICES": "ec2,s3", "SKIP_SSL_CERT_DOWNLOAD": "1", "DISABLE_EVENTS": "1", "DNS_ADDRESS": "0"}),
		testcontainers.WithExposedPorts(edgePort),
	)
	if err != nil {
		return nil, fmt.Errorf("LocalStack (%s): %w", image, err)
	}
	endpoint, err := answering(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("LocalStack (%s): %w", image, err)
	}
	config := aws.Config{Region: region, BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	return &account{region: region, ec2: ec2.NewFromConfig(config), elbv2: elbv2.NewFromConfig(config),
		s3: s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })}, nil
}

// startTimeout is how long LocalStack may take until it answers.
const startTimeout = 3 * time.Minute

// answering waits until a container answers, and says where. That is this machine where Docker runs on it, and else what testcontainers thinks Docker's
// host is; it cannot be told beforehand, since testcontainers looks for /.dockerenv, which is on virtual machines made from an image as well.
func answering(ctx context.Context, c *testcontainers.DockerContainer) (endpoint string, err error) {
	port, err := c.MappedPort(ctx, edgePort)
	if err != nil {
		return "", err
	}
	hosts := []string{"127.0.0.1"}
	if host, err := c.Host(ctx); err == nil && host != "localhost" {
		hosts = append(hosts, host)
	}
	client := http.Client{Timeout: 2 * time.Second}
	err = poll(ctx, "it to answer", startTimeout, 250*time.Millisecond, func(ctx context.Context) (bool, string, error) {
		var failed error
		for _, host := range hosts {
			at := "http://" + net.JoinHostPort(host, port.Port())
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/_localstack/health", nil)
			if err != nil {
				return false, "", err
			}
			response, err := client.Do(request)
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				endpoint = at
				return true, "", nil
			}
			failed = errors.Join(failed, fmt.Errorf("%s: %s", at, response.Status))
		}
		return false, "", failed
	})
	return endpoint, err
}

// makeVPC makes the VPC and the subnets of a world, and looks at them as they are stored.
func (a *account) makeVPC(ctx context.Context, w *scenario.World) error {
	made, err := a.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: &w.VPC.CIDR})
	if err != nil {
		return fmt.Errorf("LocalStack: %w", err)
	}
	a.vpc = aws.ToString(made.Vpc.VpcId)
	seen := map[string]bool{}
	for _, s := range w.VPC.Subnets {
		out, err := a.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: &a.vpc, CidrBlock: &s.CIDR, AvailabilityZone: &s.Zone})
		if err != nil {
			return fmt.Errorf("LocalStack: subnet %s: %w", s.Name, err)
		}
		if stored := aws.ToString(out.Subnet.CidrBlock); stored != s.CIDR || aws.ToString(out.Subnet.AvailabilityZone) != s.Zone {
			return fmt.Errorf("LocalStack: subnet %s was made as %s in %s", s.Name, stored, aws.ToString(out.Subnet.AvailabilityZone))
		}
		if !s.Public || !seen[s.Zone] {
			a.subnets = append(a.subnets, aws.ToString(out.Subnet.SubnetId))
		}
		seen[s.Zone] = true
	}
	a.said = append(a.said, fmt.Sprintf("LocalStack: EC2 has %s (%s) with %d subnets", a.vpc, w.VPC.CIDR, len(w.VPC.Subnets)))
	return nil
}

// makeLoadBalancer makes the load balancer and its target group where this edition of LocalStack can, and says so where it cannot: the router plays them
// either way.
func (a *account) makeLoadBalancer(ctx context.Context, b *balancer) error {
	group, err := a.elbv2.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{Name: aws.String("ekslab"), VpcId: &a.vpc, Port: aws.Int32(int32(b.nodePort)),
		Protocol: elbtypes.ProtocolEnumTcp, TargetType: elbtypes.TargetTypeEnumIp})
	var api smithy.APIError
	if errors.As(err, &api) {
		// Its editions differ in the words, and in whether they know the code; a person wants to see them.
		a.said = append(a.said, fmt.Sprintf("LocalStack: no ELBv2 in this edition (%s: %.80s); the load balancer is in the router alone", api.ErrorCode(), api.ErrorMessage()))
		return nil
	}
	if err != nil {
		return fmt.Errorf("LocalStack: %w", err)
	}
	made, err := a.elbv2.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("ekslab"), Type: elbtypes.LoadBalancerTypeEnumNetwork,
		Scheme: elbtypes.LoadBalancerSchemeEnumInternal, Subnets: a.subnets})
	if err != nil {
		return fmt.Errorf("LocalStack: %w", err)
	}
	var attributes []elbtypes.TargetGroupAttribute
	for _, name := range []string{attributePreserve} {
		attributes = append(attributes, elbtypes.TargetGroupAttribute{Key: aws.String(name), Value: aws.String(b.attributes[name])})
	}
	if _, err := a.elbv2.ModifyTargetGroupAttributes(ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: group.TargetGroups[0].TargetGroupArn, Attributes: attributes}); err != nil {
		return fmt.Errorf("LocalStack: %w", err)
	}
	a.said = append(a.said, fmt.Sprintf("LocalStack: ELBv2 has %s", aws.ToString(made.LoadBalancers[0].LoadBalancerArn)))
	return nil
}

// makeBucket makes a bucket, which takes LocalStack some seconds the first time.
func (a *account) makeBucket(ctx context.Context, bucket string) error {
	_, err := a.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(a.region)}})
	if err != nil {
		return fmt.Errorf("LocalStack: bucket %s: %w", bucket, err)
	}
	return nil
}

// keep puts files into a bucket that is there, reads them back and compares them.
func (a *account) keep(ctx context.Context, bucket string, files map[string][]byte) error {
	total := 0
	for key, data := range files {
		if _, err := a.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(data)}); err != nil {
			return fmt.Errorf("LocalStack: putting %s: %w", key, err)
		}
		out, err := a.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			return fmt.Errorf("LocalStack: getting %s: %w", key, err)
		}
		back, err := io.ReadAll(out.Body)
		if err := errors.Join(err, out.Body.Close()); err != nil {
			return fmt.Errorf("LocalStack: getting %s: %w", key, err)
		}
		if !bytes.Equal(data, back) {
			return fmt.Errorf("LocalStack: %s came back from S3 as other bytes than were put in", key)
		}
		total += len(data)
	}
	a.said = append(a.said, fmt.Sprintf("LocalStack: S3 kept %d files, %d bytes, and gave them back unchanged", len(files), total))
	return nil
}

// archive keeps the captures and the result of a run.
func (r *run) archive(ctx context.Context, rec *observe.Recording, lines []callLine, captures []string) error {
	files := map[string][]byte{}
	for _, path := range captures {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files["captures/"+filepath.Base(path)] = data
	}
	result, err := json.Marshal(map[string]any{"scenario": r.plan.Scenario.Slug(), "variant": r.plan.Variant, "observations": rec.Observations, "missing": rec.Missing, "calls": lines})
	if err != nil {
		return err
	}
	files["result.json"] = result
	return r.aws.keep(ctx, r.name(""), files)
}
