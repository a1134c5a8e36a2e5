/** Asking: get in every output, describe of every kind, explain, what the API has, who may, events, the cluster itself. */
import type { Row } from '#test/clients/rows.ts';

const get: readonly Row[] = [
  { sh: 'kubectl get pods', says: /NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE/ },
  { sh: 'kubectl get pods -o wide', says: [/NODE\s+NOMINATED NODE\s+READINESS GATES/, /node-\d/] },
  { sh: 'kubectl get pods client -o json', says: /"kind": "Pod"/ },
  { sh: 'kubectl get deployment,service web -o yaml', says: [/kind: Deployment/, /kind: Service/] },
  {
    sh: `kubectl get pods -o jsonpath='{range .items[*]}{.metadata.name}{"="}{.status.phase}{"\\n"}{end}'`,
    says: /client=Running/,
  },
  {
    sh: `kubectl get pods client -o go-template='{{.metadata.name}} {{range .spec.containers}}{{.image}}{{end}}'`,
    says: /client podwright\/demo:1/,
  },
  {
    sh: 'kubectl get pods -o custom-columns=N:.metadata.name,IP:.status.podIP',
    says: [/N\s+IP/, /client\s+\d+\./],
  },
  { sh: 'kubectl get pods -o name --field-selector=status.phase=Running', says: /pod\/client/ },
  { sh: 'kubectl get pods --field-selector=spec.what=1', code: 1, says: /field label not supported/ },
  { sh: 'kubectl get pods --sort-by=.metadata.creationTimestamp --no-headers', says: /client/ },
  { sh: 'kubectl get pods -l "app in (web,shop),tier!=back"', says: /web-/ },
  { sh: 'kubectl get pods -L app -A --chunk-size=2', says: [/NAMESPACE.*APP/, /client/] },
  { sh: 'kubectl get pods --show-managed-fields -o yaml client', since: 21, says: /kind: Pod/ },
  {
    sh: 'kubectl get all',
    says: [
      /pod\/client/,
      /service\/web/,
      /deployment.apps\/web/,
      /replicaset.apps\/web/,
      /statefulset.apps\/db/,
      /daemonset.apps\/agent/,
      /job.batch\/once/,
      /cronjob.batch\/nightly/,
    ],
  },
  {
    sh: 'kubectl get po,svc,deploy,rs,sts,ds,job,cj,cm,secret,sa,ing,ep,pdb,quota,hpa -o name',
    says: [/pod\/client/, /poddisruptionbudget.policy\/calm/],
  },
  { sh: 'kubectl get nodes -o wide', says: [/INTERNAL-IP/, /node-1\s+Ready/] },
  { sh: 'kubectl get ns,sc,pv,pvc,priorityclass,runtimeclass,crd,csr', says: /namespace\/default/ },
  { sh: 'kubectl get nothing', code: 1, says: /doesn't have a resource type "nothing"/ },
  { sh: 'kubectl get pod none', code: 1, says: /pods "none" not found/ },
  { sh: 'kubectl get pod none --ignore-not-found' },
  {
    sh: 'kubectl get pods --watch >seen.txt & sleep 2; kubectl run seen --image=podwright/demo:1 --restart=Never -- true; for i in $(seq 150); do grep -q "seen.*Completed" seen.txt && break; sleep 0.2; done; kill %1; cat seen.txt',
    says: /seen\s+0\/1\s+Completed/,
  },
  {
    sh: 'kubectl get pods --watch-only --output-watch-events >events.txt & for i in $(seq 60); do kubectl label pod client watched=$i --overwrite >/dev/null; grep -q MODIFIED events.txt && break; sleep 0.5; done; kill %1; cat events.txt',
    says: /MODIFIED\s+client/,
  },
  { sh: 'kubectl get --raw /apis/apps/v1', says: /"APIResourceList"/ },
  { sh: 'kubectl get deployment web --subresource=status -o name', since: 24, says: /deployment.apps\/web/ },
  { sh: 'kubectl get cm settings -o json | kubectl get -f - -o name', says: /configmap\/settings/ },
];

const describe: readonly Row[] = [
  { sh: 'kubectl describe pod client', says: [/Node:\s+node-/, /Events:[\s\S]*Started/] },
  { sh: 'kubectl describe deployment web', says: [/RollingUpdateStrategy/, /ScalingReplicaSet/] },
  { sh: 'kubectl describe rs -l app=web', says: /Controlled By:\s+Deployment\/web/ },
  { sh: 'kubectl describe sts db', says: /SuccessfulCreate/ },
  { sh: 'kubectl describe ds agent', says: /Number of Nodes Scheduled with Up-to-date Pods/ },
  { sh: 'kubectl describe job once', says: /Pods Statuses:.*1 Succeeded/ },
  { sh: 'kubectl describe cronjob nightly', since: 21, says: /Schedule:\s+0 3 \* \* \*/ },
  { sh: 'kubectl describe svc web', says: [/IP:\s+\d+\./, /Endpoints:\s+\d+\./] },
  { sh: 'kubectl describe ep web', says: /Addresses:/ },
  {
    sh: 'kubectl describe endpointslice -l kubernetes.io/service-name=web',
    since: 21,
    says: /AddressType:\s+IPv4/,
  },
  { sh: 'kubectl describe ingress www', says: /www.example.org/ },
  { sh: 'kubectl describe cm settings', says: /Data\n====/ },
  { sh: 'kubectl describe secret pass', says: /user:\s+2 bytes/ },
  { sh: 'kubectl describe sa robot', says: /Name:\s+robot/ },
  { sh: 'kubectl describe role reader', says: /pods\s+\[\]\s+\[\]\s+\[get list\]/ },
  {
    sh: 'kubectl describe rolebinding readers; kubectl describe clusterrole $NS-nodes; kubectl describe clusterrolebinding $NS-nodes',
    says: [/Role:/, /nodes/, /eve/],
  },
  { sh: 'kubectl describe quota few', says: /pods\s+\d+\s+60/ },
  { sh: 'kubectl describe pdb calm', since: 21, says: /Min available:\s+1/ },
  { sh: 'kubectl describe priorityclass $NS-high', says: /Value:\s+1000/ },
  { sh: 'kubectl describe hpa shop', says: /Reference:\s+Deployment\/shop/ },
  { sh: 'kubectl describe ns $NS', says: [/Status:\s+Active/, /Resource Quotas?/] },
  {
    sh: 'kubectl describe node node-1',
    says: [/Allocatable:/, /Allocated resources:/, /Non-terminated Pods:/],
  },
  { sh: 'kubectl describe lease -n kube-node-lease', says: /Holder Identity:\s+node-1/ },
  { sh: 'kubectl describe -f $FILES/shop.yaml', says: [/Name:\s+shop/] },
  { sh: 'kubectl describe pod none', code: 1, says: /not found/ },
];

const api: readonly Row[] = [
  { sh: 'kubectl explain pod.spec.containers.image', says: /FIELD:?\s+image/ },
  { sh: 'kubectl explain pod.spec.containers.image', says: /DESCRIPTION:\s+Container image name\./ },
  { sh: 'kubectl explain deploy.spec.strategy', says: /DESCRIPTION:\s+The deployment strategy to use/ },
  { sh: 'kubectl explain node', says: /DESCRIPTION:\s+Node is a worker node in Kubernetes\./ },
  { sh: 'kubectl explain deployment --recursive', says: /progressDeadlineSeconds/ },
  { sh: 'kubectl explain cronjob.spec.jobTemplate --api-version=batch/v1', says: /jobTemplate/ },
  { sh: 'kubectl explain pod.nothing', code: 1, says: /does not exist/ },
  {
    sh: 'kubectl api-resources',
    says: [/pods\s+po\s+v1\s+true\s+Pod|pods\s+po\s+true\s+Pod|pods\s+po\s+v1/, /deployments\s+deploy/],
  },
  {
    sh: 'kubectl api-resources --namespaced=false --verbs=list --api-group=rbac.authorization.k8s.io -o name',
    says: /clusterroles.rbac/,
  },
  { sh: 'kubectl api-versions', says: [/^apps\/v1$/m, /^v1$/m] },
  { sh: 'kubectl auth can-i create pods', says: /yes/ },
  { sh: 'kubectl auth can-i --list', says: /\*\.\*/ },
  {
    sh: 'kubectl auth can-i delete nodes --as=system:serviceaccount:$NS:robot',
    code: 1,
    says: /no/,
  },
  { sh: 'kubectl auth whoami', since: 28, says: /Username\s+\S+/ },
  { sh: 'kubectl auth whoami -o json', since: 28, says: /"metadata": \{\s+"creationTimestamp": "/ },
  {
    sh: 'kubectl label --dry-run=server --overwrite ns $NS pod-security.kubernetes.io/enforce=restricted',
    since: 24,
    says: /Warning: existing pods in namespace "\S+" violate the new PodSecurity enforce level "restricted:latest"[^]*\(server dry run\)|\(server dry run\)[^]*Warning: existing pods in namespace "\S+" violate/,
  },
  // Newer ones do not ask which kinds have a namespace: the file has to say it.
  {
    sh: 'sed "s/name: writer/name: writer, namespace: $NS/" $FILES/role.yaml | kubectl auth reconcile -f -',
    says: /reconciled/,
  },
  {
    sh: 'openssl req -new -newkey rsa:2048 -nodes -subj /CN=eve -keyout eve.pem -out eve.csr 2>/dev/null; sed "s/NAME/$NS-eve/; s/REQUEST/$(base64 -w0 eve.csr)/" $FILES/csr.yaml | kubectl apply -f -',
    says: /created/,
  },
  { sh: 'kubectl certificate approve $NS-eve; kubectl get csr $NS-eve', says: [/approved/, /Approved/] },
  {
    sh: "kubectl get csr $NS-eve -o jsonpath='{.status.certificate}' | base64 -d",
    says: /BEGIN CERTIFICATE/,
  },
  { sh: 'kubectl delete csr $NS-eve', says: /deleted/ },
  { sh: 'kubectl get events --sort-by=.lastTimestamp', says: /Scheduled/ },
  { sh: 'kubectl events --for pod/client', since: 26, says: /Started/ },
  {
    sh: 'kubectl get events --field-selector=involvedObject.name=client,reason=Started',
    says: /Started container|Container started/,
  },
  { sh: 'kubectl top nodes', says: /node-1/ },
  { sh: 'kubectl top pods', says: /client/ },
  {
    sh: 'kubectl apply -f $FILES/crd.yaml && kubectl wait crd crontabs.stable.example.com --for=condition=Established --timeout=2s',
    says: /condition met/,
  },
];

const cluster: readonly Row[] = [
  { sh: 'kubectl cluster-info', says: /control plane.* is running at[^]*KubeDNS.* is running at/ },
  {
    sh: 'kubectl cluster-info dump --namespaces=$NS --output-directory=dump && ls dump dump/$NS',
    says: [/nodes.json/, /pods.json/, /client/],
  },
  { sh: 'kubectl version', says: /Server Version:[\s\S]*1\.36|Server Version:[\s\S]*"36/ },
  { sh: 'kubectl version -o json', says: /"serverVersion"/ },
  { sh: 'kubectl config view --minify', says: /current-context/ },
  {
    sh: 'kubectl config current-context; kubectl config get-contexts; kubectl config get-clusters',
    says: /NAME/,
  },
  { sh: 'kubectl completion bash | head -50', says: /bash completion/ },
  { sh: 'kubectl __complete get pods cl', since: 24, says: /^client$/m },
  { sh: 'kubectl __complete get deployments.apps ""', since: 24, says: /^web$/m },
  { sh: 'kubectl __complete logs client ""', since: 24, says: /^client$/m },
  { sh: 'kubectl plugin list', code: 1, says: /unable to find any kubectl plugins/ },
  { sh: 'kubectl get --raw "/readyz?verbose"', says: /readyz check passed/ },
  { sh: 'kubectl get --raw /openapi/v2 | head -c 300', says: /swagger/ },
  { sh: 'kubectl get --raw /metrics | grep -c ^apiserver_request_total', says: /\d/ },
  { sh: 'kubectl --request-timeout=1ns get pods', code: 1, says: /[Tt]imeout|deadline/ },
];

/** In the order of typing, after those that look into what runs. */
export const askRows: readonly Row[] = [...get, ...describe, ...api, ...cluster];
