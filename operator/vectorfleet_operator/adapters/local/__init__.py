"""The embedded default: a cluster on this machine, its containers processes, its volumes folders.

    folder.py      where everything lies below the state directory
    store.py       objects as files, with the rules of server-side apply
    cluster.py     the port `Cluster` on the store
    pod.py         PURE: a pod template becomes a process: arguments, environment, mounts
    volumes.py     ConfigMaps, Secrets and claims become folders
    network.py     each pod's own loopback address, and names for them
    processes.py   starting, finding again and ending processes
    probes.py      the pods' HTTP probes
    workloads.py   the loop that keeps the pods of StatefulSets and Deployments running
    manifests.py   a user's files, checked
    view.py        what there is, for those who ask

It is not a scheduler and must not grow into one: whoever outgrows one machine uses Kubernetes.
"""
