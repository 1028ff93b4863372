// netpold enforces networking.k8s.io/v1 NetworkPolicy for the pods of one node, with iptables
// rules in the network namespace that it runs in.
//
// Each change of a pod, namespace or policy makes the whole rule set anew (rules.go, pure) and puts
// it in place in one transaction (iptables.go). Connections that stand when a policy comes go on.
package main

import (
	"flag"
	"log"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// A burst of changes is answered once, this long after its first.
const settle = 20 * time.Millisecond

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	node := flag.String("node", "", "the node whose pods are guarded")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
	changed := watch(factory)
	factory.Start(nil)
	factory.WaitForCacheSync(nil)
	table := openTable()
	for range changed {
		time.Sleep(settle)
		if err := table.apply(buildRules(observe(factory), *node)); err != nil {
			log.Print(err)
			time.Sleep(time.Second)
			poke(changed)
		}
	}
}

// watch returns a channel that holds at most one token: something has changed since it was taken.
func watch(factory informers.SharedInformerFactory) chan struct{} {
	changed := make(chan struct{}, 1)
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { poke(changed) },
		UpdateFunc: func(any, any) { poke(changed) },
		DeleteFunc: func(any) { poke(changed) },
	}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().Pods().Informer(),
		factory.Core().V1().Namespaces().Informer(),
		factory.Networking().V1().NetworkPolicies().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			log.Fatal(err)
		}
	}
	poke(changed)
	return changed
}

func poke(changed chan struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}

func observe(factory informers.SharedInformerFactory) snapshot {
	pods, _ := factory.Core().V1().Pods().Lister().List(labels.Everything())
	namespaces, _ := factory.Core().V1().Namespaces().Lister().List(labels.Everything())
	policies, _ := factory.Networking().V1().NetworkPolicies().Lister().List(labels.Everything())
	return newSnapshot(pods, namespaces, policies)
}
