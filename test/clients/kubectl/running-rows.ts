/** Looking into what runs: rollouts, waits, logs, exec, attach, cp, port-forward, proxy, debug. */
import type { Row } from '#test/clients/rows.ts';

const image = 'podwright/demo:1';
/** A program that prints where it listens is asked once it has said so; what one before it said has to be gone. */
const portOf = `port=; for i in $(seq 100); do port=$(grep -so '127.0.0.1:[0-9]*' said.txt | head -1 | cut -d: -f2); [ -n "$port" ] && break; sleep 0.1; done`;

const rollout: readonly Row[] = [
  { sh: 'kubectl rollout status deployment web --timeout=80s', says: /successfully rolled out/ },
  { sh: 'kubectl rollout history deployment web', says: [/REVISION\s+CHANGE-CAUSE/, /first/] },
  { sh: 'kubectl rollout history deployment web --revision=1', says: /podwright\/demo:1/ },
  {
    sh: 'kubectl rollout restart deployment web && kubectl rollout status deployment web --timeout=80s',
    says: [/restarted/, /successfully rolled out/],
  },
  {
    sh: 'kubectl rollout pause deployment web && kubectl rollout pause deployment web',
    code: 1,
    says: /already paused/,
  },
  { sh: 'kubectl rollout restart deployment web', code: 1, says: /paused/ },
  { sh: 'kubectl rollout resume deployment web', says: /resumed/ },
  { sh: 'kubectl rollout undo deployment web --dry-run=server', says: /\(server dry run\)/ },
  {
    sh: 'kubectl rollout undo deployment web && kubectl rollout status deployment web --timeout=80s',
    says: [/rolled back/, /successfully rolled out/],
  },
  { sh: 'kubectl rollout undo deployment web --to-revision=99', code: 1, says: /unable to find/ },
  {
    sh: 'kubectl apply -f $FILES/sets.yaml',
    says: [/statefulset.apps\/db created/, /daemonset.apps\/agent created/],
  },
  {
    sh: 'kubectl rollout status statefulset db --timeout=80s; kubectl rollout status daemonset agent --timeout=80s',
    says: [/roll out complete|rolling update complete/, /successfully rolled out/],
  },
  {
    sh: 'kubectl set env statefulset/db daemonset/agent NEW=1; kubectl rollout status sts db --timeout=80s; kubectl rollout status ds agent --timeout=80s',
    says: [/roll out complete|rolling update complete/, /successfully rolled out/],
  },
  {
    sh: 'kubectl rollout history statefulset db; kubectl rollout undo daemonset agent; kubectl rollout status ds agent --timeout=80s',
    says: [/\n2\s/, /rolled back/],
  },
];

const wait: readonly Row[] = [
  { sh: 'kubectl wait pod client --for=condition=Ready --timeout=60s', says: /condition met/ },
  {
    sh: 'kubectl wait deployment --all --for=condition=Available --timeout=80s',
    says: [/web condition met/, /shop condition met/],
  },
  { sh: 'kubectl wait job once by-hand --for=condition=complete --timeout=60s', says: /condition met/ },
  {
    sh: 'kubectl wait pod client --for=condition=Ready=False --timeout=1s',
    code: 1,
    says: /timed out/,
    since: 20,
  },
  {
    sh: `kubectl wait pod client --for=jsonpath='{.status.phase}'=Running --timeout=30s`,
    since: 23,
    says: /condition met/,
  },
  {
    sh: `kubectl wait service web --for=jsonpath='{.spec.clusterIP}' --timeout=30s`,
    since: 31,
    says: /condition met/,
  },
  {
    sh: `kubectl run brief --image=${image} --restart=Never -- sleep 3600; (sleep 3; kubectl delete pod brief --grace-period=1 --wait=false) >/dev/null & kubectl wait pod brief --for=delete --timeout=60s; wait`,
    says: /condition met/,
  },
  {
    sh: 'kubectl wait --for=create configmap/later --timeout=30s & waiting=$!; sleep 1; kubectl create cm later; wait $waiting',
    since: 31,
    says: /configmap\/later condition met/,
  },
];

const logs: readonly Row[] = [
  { sh: 'kubectl wait pod env --for=condition=Ready=False --timeout=60s; kubectl logs env', says: /^blue$/m },
  { sh: 'kubectl logs job/once', says: /done/ },
  { sh: 'kubectl logs job/once --all-containers --prefix --tail=1', says: /\[pod\/once-\w+\/once\] done/ },
  { sh: 'kubectl logs deployment/web' },
  { sh: 'kubectl logs -l app=web --tail=1 --since=1h' },
  {
    sh: `kubectl run talk --image=${image} --restart=Never -- sh -c 'for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done'; kubectl wait pod talk --for=condition=Ready --timeout=60s >/dev/null; kubectl logs -f talk`,
    says: /line 1\nline 2\nline 3\nline 4\nline 5$/,
  },
  { sh: 'kubectl logs talk --tail=2 --timestamps', says: /^\d{4}-\d\d-\d\dT\S+Z line 4\n\S+Z line 5$/ },
  { sh: 'kubectl logs talk --limit-bytes=6', says: /^line 1$/ },
  { sh: 'kubectl logs talk --since-time=2100-01-01T00:00:00Z', silentOn: /line/ },
  { sh: 'kubectl logs talk -c none', code: 1, says: /container none is not valid/ },
  { sh: 'kubectl logs none', code: 1, says: /NotFound/ },
  {
    sh: `kubectl run again --image=${image} --restart=OnFailure -- sh -c 'echo try; [ -e /tmp/x ]; exit 1'; for i in $(seq 300); do kubectl logs again --previous 2>/dev/null && break; sleep 0.2; done`,
    says: /try/,
  },
];

const streams: readonly Row[] = [
  {
    sh: 'kubectl exec client -- sh -c "echo out; echo err >&2; exit 7"',
    code: 7,
    says: [/^out$/m, /^err$/m, /exit code 7/],
  },
  { sh: 'echo through | kubectl exec -i client -- cat', says: /^through$/ },
  { sh: 'head -c 3000000 /dev/zero | kubectl exec -i client -- wc -c', says: /3000000/ },
  { sh: 'kubectl exec client -- head -c 3000000 /dev/zero | wc -c', says: /3000000/ },
  { sh: 'kubectl exec deployment/web -- hostname', says: /web-/ },
  { sh: 'kubectl exec client -c none -- true', code: 1, says: /none/ },
  { sh: 'kubectl exec client -- nothing-there', code: 1, says: /nothing-there.*not found|no such file/i },
  { sh: `script -qec 'kubectl exec -it client -- sh -c "tty; stty size"' /dev/null`, says: /\/dev\/pts\/\d/ },
  {
    sh: 'kubectl cp $FILES/shop.yaml client:/tmp/there && kubectl cp client:/tmp/there back.yaml && cmp $FILES/shop.yaml back.yaml',
  },
  {
    sh: 'mkdir -p d/e; echo x >d/e/f; kubectl cp d client:/tmp/d && kubectl exec client -- cat /tmp/d/e/f',
    says: /^x$/m,
  },
  {
    // kubectl ends with the archive, and tells what tar said only if that has come by then.
    sh: 'for i in $(seq 20); do kubectl cp client:/none here 2>&1 | tee told; grep -q "No such" told && break; done',
    says: /No such file/,
  },
  {
    sh: `echo hello | kubectl run attached --rm -i --restart=Never --image=${image} -- cat`,
    says: [/^hello$/m, /pod "attached" deleted/],
  },
  {
    sh: `kubectl run steady --image=${image} --restart=Never -- sh -c 'while :; do echo tick; sleep 0.2; done'; kubectl wait pod steady --for=condition=Ready --timeout=60s; kubectl attach steady >ticks.txt & for i in $(seq 150); do [ $(grep -c tick ticks.txt) -gt 1 ] && break; sleep 0.2; done; kill %1; cat ticks.txt`,
    says: /tick\ntick/,
  },
  {
    sh: `rm -f said.txt; kubectl port-forward deployment/web :8080 >said.txt & ${portOf}; for i in 1 2 3; do curl -sS http://127.0.0.1:$port/; done; kill %1`,
    says: /web-[\s\S]*web-[\s\S]*web-/,
  },
  {
    sh: `rm -f said.txt; kubectl port-forward service/web :80 >said.txt & ${portOf}; curl -sS http://127.0.0.1:$port/; kill %1`,
    says: /web-/,
  },
  {
    sh: `rm -f said.txt; kubectl proxy --port=0 >said.txt & ${portOf}; curl -sS http://127.0.0.1:$port/api/v1/namespaces/$NS/services/web:80/proxy/; curl -sS http://127.0.0.1:$port/version; kill %1`,
    says: [/web-/, /gitVersion/],
  },
];

const debug: readonly Row[] = [
  {
    sh: `kubectl debug client --image=${image} --copy-to=client-copy --share-processes -- sleep 3600; kubectl wait pod client-copy --for=condition=Ready --timeout=60s`,
    since: 20,
    says: /condition met/,
  },
  {
    sh: `kubectl debug client --image=${image} -c look --target=client -- sleep 3600; for i in $(seq 100); do kubectl exec client -c look -- ps 2>/dev/null && break; sleep 0.2; done`,
    since: 23,
    says: /sleep 3600/,
  },
  {
    sh: `kubectl debug node/node-1 --image=${image} --profile=general -- sleep 5; kubectl get pods`,
    since: 27,
    says: /node-debugger-node-1/,
  },
];

/** In the order of typing, after those that write. */
export const runningRows: readonly Row[] = [...rollout, ...wait, ...logs, ...streams, ...debug];
