"""The embedded default: a cluster on this machine, its containers processes, its volumes folders.

    folder.py      where everything lies below the state directory
    store.py       objects as files, with the rules of server-side apply
    cluster.py     the ports `Cluster` and `Catalog` on the store
    manifests.py   a user's files, checked
    inbox.py       what users ask of the supervisor; lock.py: that there is but one
    pod.py         PURE: a pod template becomes a process: arguments, environment, mounts
    objects.py     PURE: what pods and workloads look like as objects
    volumes.py     ConfigMaps, Secrets and claims become folders
    network.py     each pod's own loopback address, and names for them
    processes.py   starting, finding again and ending processes; logfiles.py: their logs' size
    probes.py      the pods' HTTP probes
    pods.py        one pod's life
    workloads.py   the loop over the pods of StatefulSets and Deployments; complaints.py: told once
    view.py        what there is, for those who ask

It is not a scheduler and must not grow into one: whoever outgrows one machine uses Kubernetes.
"""
