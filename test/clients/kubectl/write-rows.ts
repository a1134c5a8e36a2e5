/** Making and changing things: create, run, expose, apply, diff, edit, patch, label, annotate, set, scale, autoscale, replace. */
import type { Row } from '#test/clients/rows.ts';

const image = 'podwright/demo:1';

const create: readonly Row[] = [
  {
    sh: `kubectl create deployment web --image=${image} --replicas=2 --port=8080`,
    says: /deployment.apps\/web created/,
  },
  { sh: `kubectl create deployment web --image=${image}`, code: 1, says: /AlreadyExists|already exists/ },
  {
    sh: 'kubectl create configmap settings --from-literal=a=1 --from-literal=b=two',
    says: /configmap\/settings created/,
  },
  {
    sh: 'echo text >file.txt; kubectl create configmap files --from-file=file.txt; kubectl get cm files -o jsonpath={.data}',
    says: /"file.txt":"text\\n"/,
  },
  {
    sh: 'kubectl create secret generic pass --from-literal=user=me && kubectl get secret pass -o jsonpath={.data.user} | base64 -d',
    says: /me$/,
  },
  {
    sh: 'kubectl create secret docker-registry pull --docker-server=r --docker-username=u --docker-password=p && kubectl get secret pull -o jsonpath={.type}',
    says: /kubernetes.io\/dockerconfigjson/,
  },
  {
    sh: 'openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout k.pem -out c.pem 2>/dev/null; kubectl create secret tls web-tls --cert=c.pem --key=k.pem; kubectl get secret web-tls',
    says: /web-tls\s+kubernetes.io\/tls\s+2/,
  },
  { sh: 'kubectl create serviceaccount robot', says: /serviceaccount\/robot created/ },
  {
    sh: 'kubectl create token robot --duration=10m | cut -d. -f1 | base64 -d 2>/dev/null || true',
    since: 24,
    says: /"alg"/,
  },
  {
    sh: 'kubectl create token robot --bound-object-kind=Secret --bound-object-name=pull --audience=vault | cut -d. -f2 | base64 -d 2>/dev/null || true',
    since: 24,
    says: [/"aud":\["vault"\]/, /"secret":\{"name":"pull","uid":/],
  },
  {
    sh: 'kubectl create token robot --bound-object-kind=Node --bound-object-name=$(kubectl get nodes -o jsonpath={.items[0].metadata.name}) | cut -d. -f2 | base64 -d 2>/dev/null || true',
    since: 31,
    says: /"node":\{"name":"[^"]+","uid":/,
  },
  {
    sh: 'kubectl create role reader --verb=get,list --resource=pods',
    says: /role.rbac.authorization.k8s.io\/reader created/,
  },
  { sh: 'kubectl create rolebinding readers --role=reader --serviceaccount=$NS:robot', says: /created/ },
  {
    sh: 'kubectl create clusterrole $NS-nodes --verb=get --resource=nodes && kubectl create clusterrolebinding $NS-nodes --clusterrole=$NS-nodes --user=eve',
    says: [/clusterrole\S+ created/, /clusterrolebinding\S+ created/],
  },
  { sh: 'kubectl create quota few --hard=pods=60,configmaps=20', says: /resourcequota\/few created/ },
  {
    sh: 'kubectl create poddisruptionbudget calm --selector=app=web --min-available=1',
    since: 21,
    says: /created/,
  },
  { sh: 'kubectl create priorityclass $NS-high --value=1000 --description=high', says: /created/ },
  { sh: `kubectl create job once --image=${image} -- echo done`, says: /job.batch\/once created/ },
  {
    sh: `kubectl create cronjob nightly --image=${image} --schedule="0 3 * * *" -- echo night`,
    since: 21,
    says: /cronjob.batch\/nightly created/,
  },
  // 1.20 makes both of a version that is served no more.
  {
    sh: 'kubectl create -f $FILES/nightly.yaml',
    until: 20,
    says: [/cronjob.batch\/nightly created/, /poddisruptionbudget.policy\/calm created/],
  },
  { sh: `kubectl create job by-hand --image=${image} -- true`, until: 20, says: /created/ },
  { sh: 'kubectl create job by-hand --from=cronjob/nightly', since: 21, says: /job.batch\/by-hand created/ },
  {
    sh: 'kubectl create ingress www --rule="www.example.org/*=web:80" && kubectl get ingress www',
    says: [/created/, /www.example.org/],
  },
  { sh: 'kubectl create service clusterip empty --tcp=80:80', says: /service\/empty created/ },
  { sh: 'kubectl create service nodeport door --tcp=80:80', says: /service\/door created/ },
  {
    sh: 'kubectl create service externalname away --external-name=example.org',
    says: /service\/away created/,
  },
  { sh: 'kubectl create service loadbalancer front --tcp=80:80', says: /service\/front created/ },
  { sh: 'kubectl create namespace $NS-other && kubectl delete namespace $NS-other', says: /deleted/ },
  { sh: 'kubectl create configmap dry --from-literal=a=1 --dry-run=client -o yaml', says: /kind: ConfigMap/ },
  {
    sh: 'kubectl create configmap dry --from-literal=a=1 --dry-run=server -o yaml; kubectl get cm dry',
    code: 1,
    says: [/uid:/, /"?dry"? not found/],
  },
  {
    sh: `kubectl run client --image=${image} --labels=role=client -- sleep 3600`,
    says: /pod\/client created/,
  },
  {
    sh: `kubectl run env --image=${image} --env=COLOUR=blue --restart=Never -- sh -c 'echo $COLOUR'`,
    says: /pod\/env created/,
  },
  { sh: `kubectl run UPPER --image=${image}`, code: 1, says: /Invalid|invalid/ },
  { sh: 'kubectl expose deployment web --port=80 --target-port=8080', says: /service\/web exposed/ },
  {
    sh: 'kubectl expose pod client --port=8080 --name=client-door --type=NodePort',
    says: /service\/client-door exposed/,
  },
];

const apply: readonly Row[] = [
  {
    sh: 'kubectl apply -f $FILES/shop.yaml',
    says: [/deployment.apps\/shop created/, /service\/shop created/, /configmap\/shop created/],
  },
  { sh: 'kubectl apply -f $FILES/shop.yaml', says: /deployment.apps\/shop unchanged/ },
  { sh: 'kubectl diff -f $FILES/shop.yaml' },
  {
    sh: 'sed s/blue/green/ $FILES/shop.yaml | kubectl diff -f -',
    code: 1,
    says: [/-\s+colour: blue/, /\+\s+colour: green/],
  },
  { sh: 'sed s/blue/green/ $FILES/shop.yaml | kubectl apply -f -', says: /configmap\/shop configured/ },
  { sh: 'kubectl apply view-last-applied configmap/shop', says: /colour: green/ },
  { sh: 'kubectl apply set-last-applied -f $FILES/shop.yaml', says: /configured|unchanged/ },
  { sh: 'kubectl apply -f $FILES/shop.yaml --dry-run=server', says: /\(server dry run\)/ },
  { sh: 'kubectl apply -f $FILES/shop.yaml --prune -l app=shop', since: 21, says: /configured|unchanged/ },
  {
    sh: 'kubectl apply -f $FILES/shop.yaml && kubectl apply --server-side -f $FILES/shop.yaml',
    says: /configmap\/shop serverside-applied/,
  },
  { sh: 'kubectl diff --server-side -f $FILES/shop.yaml' },
  {
    sh: 'sed s/blue/red/ $FILES/shop.yaml | kubectl apply --server-side --field-manager=other -f -',
    code: 1,
    says: /Apply failed with [12] conflicts?: conflicts? with "kubectl[^]*\.data\.colour/,
  },
  {
    sh: 'sed s/blue/red/ $FILES/shop.yaml | kubectl apply --server-side --field-manager=other --force-conflicts -f -',
    says: /configmap\/shop serverside-applied/,
  },
  {
    sh: "kubectl get cm shop -o jsonpath='{.metadata.managedFields[*].manager}: {.data.colour}'",
    says: [/\bother\b/, /: red$/],
  },
  { sh: 'kubectl get cm shop -o yaml', since: 21, silentOn: /managedFields/ },
  { sh: 'kubectl get cm shop -o yaml --show-managed-fields', since: 21, says: /f:colour: \{\}/ },
  { sh: 'kubectl apply --server-side --force-conflicts -f $FILES/shop.yaml', says: /serverside-applied/ },
  { sh: 'kubectl apply --server-side --dry-run=server -f $FILES/shop.yaml', says: /serverside-applied/ },
  { sh: 'kubectl apply -f $FILES/shop.yaml', says: /configmap\/shop (unchanged|configured)/ },
  { sh: 'kubectl apply -f $FILES/unknown-field.yaml', code: 1, says: /unknown field/ },
  {
    sh: 'kubectl apply -f $FILES/unknown-field.yaml --validate=false; kubectl delete cm odd',
    says: /created/,
  },
  { sh: 'kubectl apply -k $FILES/kustomize', says: /configmap\/shop-dev-\S+ created/ },
  { sh: 'kubectl kustomize $FILES/kustomize', says: /name: shop-dev-/ },
  { sh: 'kubectl get -k $FILES/kustomize -o name', says: /configmap\/shop-dev-/ },
  { sh: 'kubectl delete -k $FILES/kustomize', says: /deleted/ },
  {
    sh: "kubectl get cm settings -o json | sed 's/two/three/' | kubectl replace -f - && kubectl get cm settings -o jsonpath={.data.b}",
    says: [/replaced/, /three/],
  },
  {
    sh: 'kubectl get pod client -o yaml >client.yaml; kubectl replace --force --grace-period=0 -f client.yaml',
    says: /"?client"? .*deleted[\s\S]*pod\/client replaced/,
  },
  { sh: 'kubectl create -f $FILES/generate-name.yaml', says: /configmap\/made-\w{5} created/ },
];

const change: readonly Row[] = [
  {
    sh: `EDITOR="sed -i s/three/four/" kubectl edit cm settings && kubectl get cm settings -o jsonpath={.data.b}`,
    says: [/configmap\/settings edited/, /four/],
  },
  { sh: 'EDITOR=true kubectl edit cm settings', says: /Edit cancelled, no changes made/ },
  {
    sh: `KUBE_EDITOR="sed -i s/port:.80$/port:.81/" kubectl edit service empty -o json`,
    says: /edited|cancelled/,
  },
  {
    sh: `kubectl patch deployment web -p '{"spec":{"template":{"metadata":{"labels":{"tier":"front"}}}}}'`,
    says: /deployment.apps\/web patched/,
  },
  {
    sh: `kubectl patch cm settings --type=merge -p '{"data":{"a":null,"c":"3"}}'; kubectl get cm settings -o jsonpath={.data}`,
    says: /\{"b":"four","c":"3"\}/,
  },
  {
    sh: `kubectl patch cm settings --type=json -p '[{"op":"replace","path":"/data/c","value":"5"}]' -o jsonpath={.data.c}`,
    says: /5$/,
  },
  {
    sh: `kubectl patch cm settings --type=json -p '[{"op":"remove","path":"/data/none"}]'`,
    code: 1,
    says: /the request is invalid|the server rejected/i,
  },
  {
    sh: `kubectl patch deployment web --subresource=scale --type=merge -p '{"spec":{"replicas":2}}'`,
    since: 24,
    says: /patched/,
  },
  {
    sh: 'kubectl patch -f $FILES/shop.yaml -p \'{"metadata":{"annotations":{"by":"file"}}}\'',
    says: /patched/,
  },
  {
    sh: 'kubectl label pod client size=big && kubectl label pod client size=small',
    code: 1,
    says: /--overwrite/,
  },
  {
    sh: 'kubectl label pod client size=small --overwrite && kubectl get pods -l size=small -o name',
    says: /pod\/client/,
  },
  { sh: 'kubectl label pods --all seen=yes', says: /labeled/ },
  {
    sh: 'kubectl label pod client size- && kubectl get pod client --show-labels',
    says: /role=client/,
    silentOn: /size=/,
  },
  { sh: 'kubectl label pod client "bad key=x"', code: 1, says: /invalid/ },
  { sh: 'kubectl annotate deployment web kubernetes.io/change-cause=first', says: /annotated/ },
  {
    sh: `kubectl set image deployment/web demo=${image} web=${image}`,
    code: 1,
    says: /unable to find container/,
  },
  { sh: `kubectl set image deployment/web *=docker.io/${image}`, says: /image updated/ },
  {
    sh: 'kubectl set env deployment/web COLOUR=red && kubectl set env deployment/web --list',
    says: /COLOUR=red/,
  },
  { sh: 'kubectl set env deployment/web --from=configmap/settings', says: /env updated/ },
  {
    sh: 'kubectl set resources deployment web --requests=cpu=1m,memory=1Mi',
    says: /resource requirements updated/,
  },
  { sh: 'kubectl set serviceaccount deployment web robot', says: /serviceaccount updated/ },
  { sh: 'kubectl set selector service empty app=web', says: /selector updated/ },
  { sh: 'kubectl set subject rolebinding readers --user=eve', says: /subjects updated/ },
  { sh: 'kubectl scale deployment web --replicas=3', says: /scaled/ },
  {
    sh: 'kubectl scale deployment web --current-replicas=9 --replicas=1',
    code: 1,
    says: /[Ee]xpected replicas to be 9/,
  },
  { sh: 'kubectl scale deployment/web deployment/shop --replicas=2', says: [/web scaled/, /shop scaled/] },
  {
    sh: 'kubectl autoscale deployment shop --min=1 --max=3 --cpu-percent=80 && kubectl get hpa shop',
    says: [/autoscaled/, /Deployment\/shop/],
  },
];

/** In the order of typing: later rows use what earlier ones made. */
export const writeRows: readonly Row[] = [...create, ...apply, ...change];
