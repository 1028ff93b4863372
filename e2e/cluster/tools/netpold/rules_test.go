package main

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const established = "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"

func pod(namespace, name, node, address string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
		}}},
		Status: corev1.PodStatus{PodIP: address, Phase: corev1.PodRunning},
	}
}

func app(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

func policy(spec netv1.NetworkPolicySpec) *netv1.NetworkPolicy {
	return &netv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"}, Spec: spec}
}

// world has a server and a client on node a, a client of the same name in another namespace on node b.
func world(spec ...netv1.NetworkPolicySpec) snapshot {
	pods := []*corev1.Pod{
		pod("shop", "server", "a", "10.1.0.1"), pod("shop", "client", "a", "10.1.0.2"), pod("office", "client", "b", "10.2.0.2"),
	}
	namespaces := []*corev1.Namespace{
		{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "office", Labels: map[string]string{"team": "office"}}},
	}
	var policies []*netv1.NetworkPolicy
	for _, s := range spec {
		policies = append(policies, policy(s))
	}
	return newSnapshot(pods, namespaces, policies)
}

func expect(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// Without a policy nothing is filtered.
func TestNoPolicy(t *testing.T) {
	expect(t, buildRules(world(), "a"), chains{"NETPOL": {established}})
}

// A policy with no rule lets nothing in; the pods of other nodes are the affair of these.
func TestDenyAll(t *testing.T) {
	deny := netv1.NetworkPolicySpec{PodSelector: *app("server"), PolicyTypes: []netv1.PolicyType{netv1.PolicyTypeIngress}}
	expect(t, buildRules(world(deny), "a"), chains{
		"NETPOL":       {established, "-d 10.1.0.1/32 -j NPI-10-1-0-1"},
		"NPI-10-1-0-1": {"-j DROP"},
	})
	expect(t, buildRules(world(deny), "b"), chains{"NETPOL": {established}})
}

// A pod selector alone means the policy's own namespace; a named port is the receiver's.
func TestIngressFromPods(t *testing.T) {
	named := intstr.FromString("http")
	expect(t, buildRules(world(netv1.NetworkPolicySpec{
		PodSelector: *app("server"),
		PolicyTypes: []netv1.PolicyType{netv1.PolicyTypeIngress},
		Ingress: []netv1.NetworkPolicyIngressRule{{
			From:  []netv1.NetworkPolicyPeer{{PodSelector: app("client")}},
			Ports: []netv1.NetworkPolicyPort{{Port: &named}},
		}},
	}), "a")["NPI-10-1-0-1"], []string{"-s 10.1.0.2/32 -p tcp --dport 8080 -j RETURN", "-j DROP"})
}

// A namespace selector means the pods of such namespaces, and a range is a range, without its exceptions.
func TestEgress(t *testing.T) {
	udp, first, last := corev1.ProtocolUDP, intstr.FromInt32(53), int32(54)
	office := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "office"}}
	block := &netv1.IPBlock{CIDR: "10.9.0.0/24", Except: []string{"10.9.0.0/25"}}
	expect(t, buildRules(world(netv1.NetworkPolicySpec{
		PodSelector: *app("client"),
		PolicyTypes: []netv1.PolicyType{netv1.PolicyTypeEgress},
		Egress: []netv1.NetworkPolicyEgressRule{
			{To: []netv1.NetworkPolicyPeer{{NamespaceSelector: office, PodSelector: app("client")}}},
			{
				To:    []netv1.NetworkPolicyPeer{{IPBlock: block}},
				Ports: []netv1.NetworkPolicyPort{{Protocol: &udp, Port: &first, EndPort: &last}},
			},
			{Ports: []netv1.NetworkPolicyPort{{Port: &first}}},
		},
	}), "a")["NPE-10-1-0-2"], []string{
		"-d 10.2.0.2/32 -j RETURN",
		"-d 10.9.0.128/25 -p udp --dport 53:54 -j RETURN",
		"-d 0.0.0.0/0 -p tcp --dport 53 -j RETURN",
		"-j DROP",
	})
}

// Chains that are no longer wanted are emptied and deleted in the same transaction.
func TestRenderDeletesOldChains(t *testing.T) {
	old := &table{present: map[string]bool{"NETPOL": true, "NPI-10-1-0-9": true}}
	want := "*filter\n:NETPOL - [0:0]\n:NPI-10-1-0-9 - [0:0]\n-A NETPOL -j RETURN\n-X NPI-10-1-0-9\nCOMMIT\n"
	if got := old.render(chains{"NETPOL": {"-j RETURN"}}); got != want {
		t.Errorf("got %q", got)
	}
}
