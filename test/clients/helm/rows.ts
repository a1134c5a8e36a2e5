/** What a user of Helm 3 types: a chart of `helm create`, and one with hooks, jobs and sets. */
import type { Row } from '#test/clients/rows.ts';

const ready = '--wait --timeout 80s';

const created: readonly Row[] = [
  { sh: 'helm version --short', says: /^v3\./ },
  {
    sh: 'helm create shop && sed -i "s/image: busybox/image: podwright\\/demo:1/" shop/templates/tests/*.yaml',
    says: /Creating shop/,
  },
  { sh: 'helm lint shop', says: /0 chart\(s\) failed/ },
  {
    sh: 'helm template shop ./shop --values $FILES/chart-values.yaml',
    says: [/kind: Deployment/, /image: "podwright\/demo:1"/],
  },
  { sh: 'helm template shop ./shop --validate', says: /kind: Service/ },
  { sh: 'helm package shop && helm show chart shop-0.1.0.tgz', says: /name: shop/ },
  {
    sh: 'helm install shop ./shop --values $FILES/chart-values.yaml --dry-run=server',
    says: [/STATUS: pending-install/, /kind: Deployment/],
  },
  {
    sh: `helm install shop ./shop --values $FILES/chart-values.yaml ${ready}`,
    says: [/STATUS: deployed/, /NOTES:/],
  },
  { sh: `helm install shop ./shop`, code: 1, says: /cannot re-use a name that is still in use/ },
  { sh: 'helm list', says: /shop\s+helm\s+1\s[\s\S]*deployed\s+shop-0.1.0/ },
  { sh: 'helm status shop --show-resources', says: [/==> v1\/Deployment/, /shop\s+1\/1/] },
  { sh: 'helm get all shop', says: [/USER-SUPPLIED VALUES/, /kind: ServiceAccount/] },
  { sh: 'helm test shop --timeout 60s', says: /Phase:\s+Succeeded/ },
  {
    sh: `helm upgrade shop ./shop --reuse-values --set replicaCount=2 ${ready}; kubectl get deployment shop -o jsonpath={.status.readyReplicas}`,
    says: [/REVISION: 2/, /2$/],
  },
  {
    sh: `helm upgrade shop ./shop --reuse-values --set autoscaling.enabled=true ${ready} && kubectl get hpa shop`,
    says: [/REVISION: 3/, /Deployment\/shop/],
  },
  {
    sh: `helm upgrade shop ./shop --reuse-values --set ingress.enabled=true,autoscaling.enabled=false && kubectl get ingress shop; kubectl get hpa`,
    says: [/chart-example.local/, /No resources found/],
  },
  { sh: 'helm history shop', says: [/^1\s.*superseded/m, /^4\s.*deployed/m] },
  {
    sh: `helm rollback shop 1 ${ready}; kubectl get deployment shop -o jsonpath={.spec.replicas}`,
    says: [/Rollback was a success/, /1$/],
  },
  { sh: 'helm get values shop --revision 2 -o json', says: /"replicaCount":2/ },
  {
    sh: `helm upgrade shop ./shop --reuse-values --set image.tag=none --atomic --timeout 15s`,
    code: 1,
    says: /rolled back due to atomic/,
  },
  {
    sh: 'helm history shop --max 3; kubectl get deployment shop -o jsonpath={..image}',
    says: [/failed/, /podwright\/demo:1$/],
  },
  {
    sh: 'helm upgrade shop ./shop --reuse-values --set service.type=Nonsense',
    code: 1,
    says: /Unsupported value: "Nonsense"/,
  },
  { sh: 'helm uninstall shop --keep-history --wait', says: /uninstalled/ },
  { sh: 'helm list --all', says: /uninstalled/ },
  {
    sh: 'helm uninstall shop; kubectl get secrets -l owner=helm',
    says: [/release "shop" uninstalled/, /No resources found/],
  },
];

const stack: readonly Row[] = [
  { sh: 'helm lint $FILES/stack', says: /0 chart\(s\) failed/ },
  { sh: `helm install stack $FILES/stack ${ready} --wait-for-jobs`, says: /STATUS: deployed/ },
  {
    sh: 'kubectl get jobs; kubectl logs job/stack-pre-install; kubectl logs job/stack-post-install',
    says: [/pre-install of blue/, /post-install of blue/, /stack-seed-1\s+Complete\s+1\/1/],
  },
  { sh: 'kubectl get cm stack -o jsonpath={.data}', says: [/"known":"yes"/, /"budget":"yes"/] },
  { sh: 'kubectl get statefulset stack', says: /stack\s+2\/2/ },
  { sh: 'helm test stack --logs --timeout 60s', says: [/Phase:\s+Succeeded/, /stack-0/] },
  {
    sh: `helm upgrade stack $FILES/stack --set colour=red ${ready} && kubectl logs job/stack-pre-upgrade; kubectl get jobs -o name`,
    says: [/pre-upgrade of red/, /stack-seed-2/],
    silentOn: /stack-seed-1/,
  },
  {
    sh: `helm upgrade stack $FILES/stack --set colour=red --set replicas=1 --force ${ready}; kubectl get sts stack -o jsonpath={.spec.replicas}`,
    says: [/REVISION: 3/, /1$/],
  },
  {
    sh: `helm upgrade stack $FILES/stack --set broken=true --atomic --timeout 15s`,
    code: 1,
    says: /rolled back due to atomic/,
  },
  {
    sh: 'kubectl rollout status sts stack --timeout=80s; helm history stack',
    says: [/roll(ing update|ed out| out) complete|complete/, /^4\s.*failed/m, /^5\s.*deployed/m],
  },
  {
    sh: 'helm uninstall stack --wait --timeout 80s; kubectl get sts,pdb,svc -o name',
    says: /uninstalled/,
    silentOn: /\/stack/,
  },
  {
    sh: `helm upgrade --install other $FILES/stack --namespace helm-other --create-namespace --no-hooks ${ready} && helm list --all-namespaces && helm uninstall other -n helm-other --no-hooks && kubectl delete ns helm-other`,
    says: [/other\s+helm-other\s+1/, /uninstalled/],
  },
  {
    sh: 'helm install claimed $FILES/stack --set claims=true --no-hooks && kubectl get pvc',
    says: /data-claimed-0/,
  },
  {
    sh: 'kubectl wait pod claimed-0 --for=condition=Ready --timeout=80s',
    says: /condition met/,
  },
  { sh: 'helm uninstall claimed --no-hooks; kubectl delete pvc --all', says: /"data-claimed-0" deleted/ },
  {
    sh: 'helm install failing $FILES/stack --set replicas=1,broken=true --atomic --no-hooks --timeout 8s; helm list --all -q',
    says: /has been uninstalled due to atomic|failed, and has been uninstalled/,
    silentOn: /^failing$/m,
  },
];

/** In the order of typing. */
export const helmRows: readonly Row[] = [...created, ...stack];
