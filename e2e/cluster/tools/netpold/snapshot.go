package main

import (
	"sort"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// snapshot is what the rules are made from: pods that have an address of their own, the labels of
// the namespaces, and the policies, each in a fixed order.
type snapshot struct {
	pods       []*corev1.Pod
	namespaces map[string]labels.Set
	policies   []*netv1.NetworkPolicy
}

func newSnapshot(pods []*corev1.Pod, namespaces []*corev1.Namespace, policies []*netv1.NetworkPolicy) snapshot {
	s := snapshot{namespaces: map[string]labels.Set{}, policies: policies}
	for _, pod := range pods {
		if hasAddress(pod) {
			s.pods = append(s.pods, pod)
		}
	}
	for _, namespace := range namespaces {
		s.namespaces[namespace.Name] = namespace.Labels
	}
	sort.Slice(s.pods, func(i, j int) bool { return s.pods[i].Status.PodIP < s.pods[j].Status.PodIP })
	sort.Slice(s.policies, func(i, j int) bool { return key(s.policies[i]) < key(s.policies[j]) })
	return s
}

func key(policy *netv1.NetworkPolicy) string { return policy.Namespace + "/" + policy.Name }

func hasAddress(pod *corev1.Pod) bool {
	over := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	return pod.Status.PodIP != "" && !pod.Spec.HostNetwork && !over
}

// matches treats a selector that can't be read as matching nothing; the API server admits none.
func matches(selector *metav1.LabelSelector, set labels.Set) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(set)
}

// selected lists the pods that a peer of a policy in namespace means.
func (s snapshot) selected(peer netv1.NetworkPolicyPeer, namespace string) []*corev1.Pod {
	var chosen []*corev1.Pod
	for _, pod := range s.pods {
		here := pod.Namespace == namespace
		if peer.NamespaceSelector != nil {
			here = matches(peer.NamespaceSelector, s.namespaces[pod.Namespace])
		}
		if here && (peer.PodSelector == nil || matches(peer.PodSelector, pod.Labels)) {
			chosen = append(chosen, pod)
		}
	}
	return chosen
}
