/** Deleting, by every way that there is. */
import type { Row } from '#test/clients/rows.ts';

/** In the order of typing, after all others. */
export const endRows: readonly Row[] = [
  {
    sh: 'kubectl delete pod steady talk --grace-period=1',
    says: [/pod "steady" deleted/, /pod "talk" deleted/],
  },
  { sh: 'kubectl delete pod again --now', says: /deleted/ },
  {
    sh: 'kubectl delete pod client-copy --force --grace-period=0 2>&1; kubectl get pod client-copy',
    code: 1,
    says: [/force deleted/, /not found/],
  },
  { sh: 'kubectl delete pod none', code: 1, says: /not found/ },
  { sh: 'kubectl delete pod none --ignore-not-found' },
  {
    sh: 'kubectl delete cm settings --dry-run=server && kubectl get cm settings -o name',
    says: [/dry run/, /configmap\/settings/],
  },
  { sh: 'kubectl delete cm -l app=none', says: /No resources found/ },
  {
    sh: 'kubectl delete deployment shop --cascade=orphan; kubectl get rs -l app=shop -o name',
    says: [/deleted/, /replicaset.apps\/shop-/],
  },
  {
    sh: 'kubectl delete rs -l app=shop --cascade=foreground; kubectl get pods -l app=shop',
    says: /deleted/,
    silentOn: /Running/,
  },
  {
    sh: 'kubectl delete job once; for i in $(seq 100); do [ -z "$(kubectl get pods -l job-name=once -o name)" ] && break; sleep 0.2; done; kubectl get pods -l job-name=once',
    says: /No resources found/,
  },
  {
    sh: 'kubectl delete deployment web --cascade=background; for i in $(seq 100); do [ -z "$(kubectl get pods -l app=web -o name)" ] && break; sleep 0.2; done; kubectl get pods -l app=web',
    says: [/deleted/, /No resources found/],
  },
  {
    sh: 'kubectl delete -f $FILES/sets.yaml --wait=false',
    says: [/statefulset.apps "db" deleted/, /daemonset.apps "agent" deleted/],
  },
  { sh: 'kubectl delete --all cronjob,job,pdb,hpa', says: /cronjob.batch "nightly" deleted/ },
  { sh: 'kubectl delete --raw /api/v1/namespaces/$NS/configmaps/settings', says: /"Success"/ },
  {
    sh: 'kubectl delete clusterrole/$NS-nodes clusterrolebinding/$NS-nodes priorityclass/$NS-high',
    says: /deleted/,
  },
  {
    sh: 'kubectl delete namespace $NS --timeout=80s; kubectl get namespace $NS',
    code: 1,
    says: [/namespace "\S+" deleted/, /not found/],
  },
];
