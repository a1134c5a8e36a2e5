/** What an administrator does to a node. Other suites have pods there, so that a drain takes only those of its own. */
import type { Row } from '#test/clients/rows.ts';

/** In the order of typing; at the end all is as it was. */
export const nodeRows: readonly Row[] = [
  {
    sh: `kubectl create deployment moved --image=podwright/demo:1 --replicas=4 && kubectl rollout status deployment moved --timeout=80s`,
    says: /successfully rolled out/,
  },
  {
    sh: 'kubectl run single --image=podwright/demo:1 -l app=moved --overrides=\'{"spec":{"nodeName":"node-2"}}\'',
    says: /created/,
  },
  {
    sh: 'kubectl cordon node-2; kubectl get node node-2',
    says: [/node\/node-2 cordoned/, /SchedulingDisabled/],
  },
  { sh: 'kubectl cordon node-2', says: /already cordoned/ },
  {
    sh: 'kubectl drain node-2 --pod-selector=app=moved --timeout=60s',
    code: 1,
    says: /declare no controller|not managed by/,
  },
  {
    sh: 'kubectl drain node-2 --pod-selector=app=moved --force --grace-period=1 --timeout=60s',
    says: [/evicting pod \S+\/moved-|pod\/moved-\S+ evicted/, /node\/node-2 (drained|evicted)/],
  },
  { sh: 'kubectl get pods -l app=moved -o wide', silentOn: /Running.*node-2/ },
  {
    sh: 'kubectl apply -f $FILES/stuck.yaml; kubectl rollout status deployment moved --timeout=80s; kubectl drain node-1 --pod-selector=app=moved --timeout=4s',
    code: 1,
    says: /Cannot evict pod as it would violate the pod's disruption budget/,
  },
  {
    sh: 'kubectl uncordon node-1 node-2; kubectl get nodes',
    says: /uncordoned/,
    silentOn: /SchedulingDisabled/,
  },
  {
    sh: 'kubectl taint nodes node-2 try=yes:PreferNoSchedule && kubectl get node node-2 -o jsonpath={.spec.taints}',
    says: [/tainted/, /"try"/],
  },
  { sh: 'kubectl taint nodes node-2 try=yes:PreferNoSchedule', code: 1, says: /already has/ },
  { sh: 'kubectl taint nodes node-2 try=yes:Nonsense', code: 1, says: /invalid taint effect/ },
  { sh: 'kubectl taint nodes node-2 try-', says: /untainted/ },
  {
    sh: 'kubectl label node node-2 disk=ssd && kubectl get nodes -l disk=ssd -o name && kubectl label node node-2 disk-',
    says: /node\/node-2/,
  },
  { sh: 'kubectl get --raw /api/v1/nodes/node-1/proxy/healthz', says: /ok/ },
  { sh: 'kubectl get --raw /api/v1/nodes/node-1/proxy/stats/summary', says: /"nodeName"/ },
  { sh: 'kubectl delete deployment moved; kubectl delete pdb stuck', says: /deleted/ },
];
