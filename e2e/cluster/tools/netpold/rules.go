package main

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A packet passes rootChain, which sends it to the egress chain of its source and the ingress chain
// of its destination where these pods are isolated. A pod's chain returns what a policy allows and
// drops the rest, so a packet between two isolated pods must be allowed by both.
const rootChain = "NETPOL"

// chains maps the name of a chain to its rules.
type chains map[string][]string

// direction is one side of a policy, as iptables sees it.
type direction struct {
	policyType netv1.PolicyType
	prefix     string // of the pod's chain
	pod, peer  string // which address of a packet is the guarded pod's, and which the peer's
}

var (
	ingress = direction{netv1.PolicyTypeIngress, "NPI-", "-d", "-s"}
	egress  = direction{netv1.PolicyTypeEgress, "NPE-", "-s", "-d"}
)

// clause is one entry of a policy's ingress or egress list.
type clause struct {
	peers []netv1.NetworkPolicyPeer
	ports []netv1.NetworkPolicyPort
}

// target is an address range that a clause speaks of; pod is nil where it is none.
type target struct {
	cidr string
	pod  *corev1.Pod
}

// buildRules makes the chains for the pods of one node.
func buildRules(s snapshot, node string) chains {
	built := chains{rootChain: {"-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"}}
	for _, pod := range s.pods {
		if pod.Spec.NodeName != node {
			continue
		}
		for _, side := range []direction{egress, ingress} {
			allowed, isolated := s.allowed(pod, side)
			if !isolated {
				continue
			}
			name := side.prefix + strings.ReplaceAll(pod.Status.PodIP, ".", "-")
			built[name] = append(allowed, "-j DROP")
			jump := fmt.Sprintf("%s %s/32 -j %s", side.pod, pod.Status.PodIP, name)
			built[rootChain] = append(built[rootChain], jump)
		}
	}
	return built
}

// allowed returns the rules that let packets of the pod pass on one side, and whether a policy isolates it there.
func (s snapshot) allowed(pod *corev1.Pod, side direction) (rules []string, isolated bool) {
	for _, policy := range s.policies {
		concerns := policy.Namespace == pod.Namespace && slices.Contains(policy.Spec.PolicyTypes, side.policyType)
		if !concerns || !matches(&policy.Spec.PodSelector, pod.Labels) {
			continue
		}
		isolated = true
		for _, c := range clausesOf(policy, side) {
			rules = append(rules, s.clauseRules(c, pod, policy.Namespace, side)...)
		}
	}
	return rules, isolated
}

func clausesOf(policy *netv1.NetworkPolicy, side direction) []clause {
	var out []clause
	if side.policyType == netv1.PolicyTypeIngress {
		for _, rule := range policy.Spec.Ingress {
			out = append(out, clause{rule.From, rule.Ports})
		}
		return out
	}
	for _, rule := range policy.Spec.Egress {
		out = append(out, clause{rule.To, rule.Ports})
	}
	return out
}

func (s snapshot) clauseRules(c clause, pod *corev1.Pod, namespace string, side direction) []string {
	var rules []string
	for _, t := range s.targets(c.peers, namespace) {
		receiver := pod // whose named ports the clause's ports are
		if side.policyType == netv1.PolicyTypeEgress {
			receiver = t.pod
		}
		for _, match := range portMatches(c.ports, receiver) {
			rules = append(rules, strings.Join(strings.Fields(side.peer+" "+t.cidr+" "+match+" -j RETURN"), " "))
		}
	}
	return rules
}

// targets lists whom a clause's peers mean; no peers at all mean everyone.
func (s snapshot) targets(peers []netv1.NetworkPolicyPeer, namespace string) []target {
	if len(peers) == 0 {
		return []target{{cidr: "0.0.0.0/0"}}
	}
	var out []target
	for _, peer := range peers {
		if peer.IPBlock != nil {
			for _, cidr := range without(peer.IPBlock.CIDR, peer.IPBlock.Except) {
				out = append(out, target{cidr: cidr})
			}
			continue
		}
		for _, pod := range s.selected(peer, namespace) {
			out = append(out, target{pod.Status.PodIP + "/32", pod})
		}
	}
	return out
}

// portMatches renders a clause's ports; a named port that the receiver lacks matches nothing.
func portMatches(ports []netv1.NetworkPolicyPort, receiver *corev1.Pod) []string {
	if len(ports) == 0 {
		return []string{""}
	}
	var out []string
	for _, port := range ports {
		protocol := "tcp"
		if port.Protocol != nil {
			protocol = strings.ToLower(string(*port.Protocol))
		}
		if port.Port == nil {
			out = append(out, "-p "+protocol)
			continue
		}
		number := portNumber(*port.Port, protocol, receiver)
		switch {
		case number == 0:
		case port.EndPort != nil:
			out = append(out, fmt.Sprintf("-p %s --dport %d:%d", protocol, number, *port.EndPort))
		default:
			out = append(out, fmt.Sprintf("-p %s --dport %d", protocol, number))
		}
	}
	return out
}

func portNumber(port intstr.IntOrString, protocol string, receiver *corev1.Pod) int32 {
	if port.Type == intstr.Int {
		return port.IntVal
	}
	if receiver == nil {
		return 0
	}
	for _, container := range receiver.Spec.Containers {
		for _, named := range container.Ports {
			if named.Name == port.StrVal && strings.EqualFold(string(named.Protocol), protocol) {
				return named.ContainerPort
			}
		}
	}
	return 0
}
