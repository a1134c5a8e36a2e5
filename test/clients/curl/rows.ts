/** What scripts ask by curl. ~/.curlrc has the certificates; $API is the server, $MINE the suite's own namespace there. */
import type { Row } from '#test/clients/rows.ts';

const json = "-H 'Content-Type: application/json'";
const post = `curl -X POST ${json}`;
const status = "-o /dev/null -w '%{http_code}'";
const configMap = (name: string, rest = ''): string =>
  `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}"}${rest}}`;
const table = "-H 'Accept: application/json;as=Table;v=v1;g=meta.k8s.io'";
const upgrade =
  "--http1.1 -N --max-time 5 -i --output - -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='";

const objects: readonly Row[] = [
  {
    sh: `${post} $MINE/configmaps -d '${configMap('one', ',"data":{"a":"1"}')}'`,
    says: [/"uid":/, /"resourceVersion":/],
  },
  {
    sh: `${post} $MINE/configmaps -d '${configMap('one')}'`,
    says: [/"reason": ?"AlreadyExists"/, /"code": ?409/],
  },
  {
    sh: `printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: two}\\n' | curl -H 'Content-Type: application/yaml' --data-binary @- $MINE/configmaps`,
    says: /"name": ?"two"/,
  },
  { sh: "curl -H 'Accept: application/yaml' $MINE/configmaps/one", says: /^kind: ConfigMap$/m },
  { sh: `${post} $MINE/configmaps -d '${configMap('Not_Good')}'`, says: [/"code": ?422/, /metadata.name/] },
  { sh: `${post} ${status} $MINE/configmaps -d '{"kind":'`, says: /^400$/ },
  { sh: `${post} ${status} $MINE/pods -d '${configMap('x')}'`, says: /^400$/ },
  { sh: `curl -X POST -H 'Content-Type: text/plain' ${status} $MINE/configmaps -d x`, says: /^415$/ },
  { sh: `curl -H 'Accept: text/html' ${status} $MINE/configmaps`, says: /^406$/ },
  {
    sh: `head -c 4000000 /dev/zero | tr '\\0' ' ' >big; ${post} ${status} --data-binary @big $MINE/configmaps`,
    says: /^413$/,
  },
  {
    sh: `curl $MINE/configmaps/one | sed 's/"a": *"1"/"a":"2"/' >one.json; curl -X PUT ${json} ${status} -d @one.json $MINE/configmaps/one; curl -X PUT ${json} ${status} -d @one.json $MINE/configmaps/one`,
    says: /^200409$/,
  },
  { sh: `curl -X PUT ${json} ${status} -d @one.json $MINE/configmaps/other`, says: /^400$/ },
  {
    sh: `curl -X PUT ${json} ${status} -d '${configMap('none')}' $MINE/configmaps/none`,
    says: /^404$|^201$/,
  },
  {
    sh: `curl -X PATCH -H 'Content-Type: application/merge-patch+json' -d '{"data":{"b":"3"}}' $MINE/configmaps/one`,
    says: /"b": ?"3"/,
  },
  {
    sh: `curl -X PATCH -H 'Content-Type: application/json-patch+json' -d '[{"op":"test","path":"/data/b","value":"3"},{"op":"remove","path":"/data/b"}]' $MINE/configmaps/one`,
    says: /"a": ?"2"/,
    silentOn: /"b"/,
  },
  {
    sh: `curl -X PATCH -H 'Content-Type: application/json-patch+json' ${status} -d '[{"op":"test","path":"/data/a","value":"no"}]' $MINE/configmaps/one`,
    says: /^422$/,
  },
  {
    sh: `curl -X PATCH -H 'Content-Type: application/strategic-merge-patch+json' -d '{"data":{"a":null}}' $MINE/configmaps/one`,
    silentOn: /"a"/,
  },
  { sh: `curl -X PATCH ${json} ${status} -d '{}' $MINE/configmaps/one`, says: /^415$/ },
  {
    sh: "curl -X PATCH -H 'Content-Type: application/apply-patch+yaml' -d '{apiVersion: v1, kind: ConfigMap, metadata: {name: applied}}' \"$MINE/configmaps/applied?fieldManager=me\"",
    says: /"name": ?"applied"/,
  },
  {
    sh: `${post} "$MINE/configmaps?dryRun=All" -d '${configMap('dry')}'; curl ${status} $MINE/configmaps/dry`,
    says: [/"uid"/, /404$/],
  },
  { sh: `${post} ${status} "$MINE/configmaps?dryRun=Some" -d '${configMap('dry')}'`, says: /^422$/ },
  {
    sh: `${post} "$MINE/configmaps?fieldValidation=Strict" -d '${configMap('strict', ',"datta":{}')}'`,
    says: [/strict decoding error: unknown field \\"datta\\"/, /"code": ?400/],
  },
  {
    sh: `${post} "$MINE/configmaps?fieldValidation=Strict" -d '${configMap('strict', ',"data":{"a":"1"},"data":{"a":"2"}')}'`,
    says: /duplicate field \\"data\\"/,
  },
  {
    sh: `${post} -i "$MINE/configmaps?fieldValidation=Warn" -d '${configMap('warned', ',"datta":{}')}'`,
    says: [/ 201/, /[Ww]arning: 299 - "unknown field \\"datta\\""/],
  },
  {
    sh: `${post} -i "$MINE/configmaps?fieldValidation=Ignore" -d '${configMap('ignored', ',"datta":{}')}'`,
    says: / 201/,
    silentOn: /[Ww]arning: /,
  },
  {
    sh: `${post} ${status} "$MINE/configmaps?fieldValidation=What" -d '${configMap('what')}'`,
    says: /^4(00|22)$/,
  },
  {
    sh: `curl -X DELETE ${json} -d '{"preconditions":{"uid":"other"}}' $MINE/configmaps/ignored`,
    says: [/"code": ?409/, /uid/i],
  },
  { sh: 'curl -X DELETE $MINE/configmaps/ignored', says: /"status": ?"Success"/ },
];

const lists: readonly Row[] = [
  {
    sh: `for i in 1 2 3 4 5; do ${post} ${status} $MINE/configmaps -d '{"metadata":{"name":"page-'$i'","labels":{"page":"yes"}}}'; done`,
    says: /^(201){5}$/,
  },
  {
    sh: 'curl "$MINE/configmaps?labelSelector=page%3Dyes&limit=2" | tee page.json',
    says: [/"continue": ?"\S+"/, /page-2/],
    silentOn: /page-3/,
  },
  {
    sh: 'curl -G $MINE/configmaps --data-urlencode labelSelector=page=yes --data-urlencode limit=2 --data-urlencode "continue=$(jq -r .metadata.continue page.json 2>/dev/null || grep -o \'"continue": *"[^"]*\' page.json | cut -d\\" -f4)"',
    says: [/page-3/, /page-4/],
    silentOn: /page-[25]/,
  },
  { sh: 'curl "$MINE/configmaps?limit=2&continue=nonsense"', says: /"code": ?400/ },
  { sh: 'curl "$MINE/configmaps?resourceVersion=0&labelSelector=page"', says: /page-1/ },
  {
    sh: 'curl "$MINE/configmaps?resourceVersion=1&resourceVersionMatch=Exact"',
    says: /"code": ?410|"kind": ?"ConfigMapList"/,
  },
  { sh: `curl ${status} "$MINE/configmaps?resourceVersionMatch=Exact"`, says: /^400$|^422$/ },
  { sh: `curl ${status} "$MINE/configmaps?labelSelector=a+b"`, says: /^400$/ },
  { sh: `curl ${status} "$MINE/configmaps?fieldSelector=spec.x%3D1"`, says: /^400$/ },
  {
    sh: `curl ${table} $MINE/configmaps`,
    says: [/"kind": ?"Table"/, /"columnDefinitions"/, /"PartialObjectMetadata"/],
  },
  { sh: `curl ${table} "$MINE/configmaps?includeObject=None"`, silentOn: /PartialObjectMetadata/ },
  {
    sh: "curl -H 'Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' $MINE/configmaps",
    says: /"PartialObjectMetadataList"/,
    silentOn: /"data"/,
  },
  // Clients decode by the Content-Type of the answer, and JSON is ours to all (control-plane/apiserver/serve/negotiate.ts).
  {
    sh: "curl -H 'Accept: application/vnd.kubernetes.protobuf,application/json' -D - $MINE/configmaps/one",
    says: [/content-type: application\/json/i, /"kind": ?"ConfigMap"/],
  },
  {
    sh: "curl -H 'Accept: application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io' -D - -o /dev/null $MINE/configmaps",
    says: / 200/,
  },
  {
    sh: `for i in 1 2 3 4; do head -c 60000 /dev/zero | base64 -w0 | sed 's/.*/{"metadata":{"name":"big-'$i'"},"data":{"a":"&"}}/' >big.json; ${post} -o /dev/null -d @big.json $MINE/configmaps; done; curl -H 'Accept-Encoding: gzip' -D - -o list.gz $MINE/configmaps; gzip -t list.gz`,
    says: /content-encoding: gzip/i,
  },
  { sh: 'curl --compressed $MINE/configmaps | tail -c 3', says: /\}/ },
  {
    sh: "curl --http1.1 -o /dev/null -w '%{http_version} %{http_code}' $MINE/configmaps",
    says: /^1\.1 200$/,
  },
  { sh: "curl --http2 -o /dev/null -w '%{http_version} %{http_code}' $MINE/configmaps", says: /^2 200$/ },
  { sh: `curl ${status} $MINE/configmaps $MINE/secrets`, says: /200$/ },
  { sh: 'curl -I $MINE/configmaps/one', says: / (200|405)/ },
  {
    sh: 'curl -X DELETE "$MINE/configmaps?labelSelector=page%3Dyes"; curl "$MINE/configmaps?labelSelector=page"',
    says: /"items": ?\[\]/,
  },
];

const watches: readonly Row[] = [
  { sh: 'curl -N "$MINE/configmaps?watch=1&timeoutSeconds=2"', says: /"type":"ADDED"[\s\S]*\n/ },
  {
    sh: `version=$(curl "$MINE/configmaps?limit=1" | grep -o '"resourceVersion": *"[0-9]*"' | head -1 | grep -o '[0-9]*'); curl -N "$MINE/configmaps?watch=true&resourceVersion=$version&timeoutSeconds=60" >seen.txt & sleep 1; ${post} -o /dev/null $MINE/configmaps -d '${configMap('seen')}'; curl -X PATCH -o /dev/null -H 'Content-Type: application/merge-patch+json' -d '{"data":{"x":"y"}}' $MINE/configmaps/seen; curl -o /dev/null -X DELETE $MINE/configmaps/seen; for i in $(seq 100); do grep -q DELETED seen.txt && break; sleep 0.2; done; kill %1; cat seen.txt`,
    says: /"type":"ADDED".*"seen"[\s\S]*"type":"MODIFIED".*"seen"[\s\S]*"type":"DELETED".*"seen"/,
  },
  {
    sh: 'curl -N "$MINE/configmaps?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=2"',
    says: [/"type":"ADDED"/, /"type":"BOOKMARK".*"k8s.io\/initial-events-end":"true"/],
  },
  { sh: `curl ${status} "$MINE/configmaps?watch=1&sendInitialEvents=true"`, says: /^422$/ },
  {
    sh: 'curl -N "$MINE/configmaps?watch=1&resourceVersion=999999999999&timeoutSeconds=1"',
    says: /"code": ?504|Too large resource version|^$/,
  },
  {
    sh: `curl -N ${table} "$MINE/configmaps?watch=1&timeoutSeconds=1"`,
    says: /"type":"ADDED","object":\{"kind":"Table"/,
  },
  { sh: 'curl -N "$API/api/v1/watch/namespaces/$NS/configmaps?timeoutSeconds=1"', says: /"type":"ADDED"/ },
  {
    sh: 'curl -N "$MINE/configmaps?watch=1&fieldSelector=metadata.name%3Done&timeoutSeconds=1" | wc -l',
    says: /^1$/,
  },
  {
    sh: 'curl -N -H \'Accept: application/vnd.kubernetes.protobuf;stream=watch,application/json\' -D - "$MINE/configmaps?watch=1&timeoutSeconds=1"',
    says: [/content-type: application\/json/i, /"type":"ADDED"/],
  },
];

const pods: readonly Row[] = [
  {
    sh: `${post} $MINE/pods -d '{"metadata":{"name":"shell"},"spec":{"terminationGracePeriodSeconds":1,"containers":[{"name":"main","image":"podwright/demo:1"}]}}' -o /dev/null; kubectl wait pod shell --for=condition=Ready --timeout=60s`,
    says: /condition met/,
  },
  { sh: 'curl "$MINE/pods/shell/log?tailLines=1"' },
  {
    sh: `curl ${upgrade} -H 'Sec-WebSocket-Protocol: v4.channel.k8s.io' "$MINE/pods/shell/exec?command=echo&command=by-websocket&stdout=true&container=main" || true`,
    says: [/101 Switching Protocols/, /v4.channel.k8s.io/, /by-websocket/, /"status":"Success"/],
  },
  {
    sh: `curl ${upgrade} -H 'Sec-WebSocket-Protocol: v5.channel.k8s.io' "$MINE/pods/shell/exec?command=sh&command=-c&command=exit+3&stdout=1&stderr=1" || true`,
    says: [/101 Switching Protocols/, /"reason":"NonZeroExitCode"/],
  },
  {
    sh: `curl ${upgrade} -H 'Sec-WebSocket-Protocol: v4.channel.k8s.io' "$MINE/pods/none/exec?command=true&stdout=true"`,
    says: [/HTTP\/1.1 404/, /"pods \\"none\\" not found"/],
  },
  { sh: `curl ${status} "$MINE/pods/shell/exec?command=true&stdout=true"`, says: /^400$/ },
  { sh: 'curl $MINE/pods/shell:8080/proxy/', says: /shell/ },
  {
    sh: 'curl -X PATCH -H \'Content-Type: application/merge-patch+json\' -d \'{"status":{"message":"told"}}\' $MINE/pods/shell/status',
    says: /"message": ?"told"/,
  },
  {
    sh: `${post} "$MINE/pods/shell/eviction?dryRun=All" -d '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"shell"}}'; curl ${status} $MINE/pods/shell`,
    says: [/"status": ?"Success"/, /200$/],
  },
  { sh: `curl -X DELETE ${json} -d '{"gracePeriodSeconds":0}' $MINE/pods/shell`, says: /"kind": ?"Pod"/ },
];

const server: readonly Row[] = [
  { sh: 'curl $API/version', says: /"gitVersion": ?"v1\.36/ },
  { sh: 'curl $API/healthz; curl $API/livez; curl $API/readyz', says: /^okokok$/ },
  { sh: 'curl $API/', says: /"paths"/ },
  {
    sh: `curl ${status} $API/nothing; curl ${status} $API/apis/none.example.com/v1/x; curl ${status} $MINE/nothing`,
    says: /^404404404$/,
  },
  { sh: `curl ${status} -X POST $MINE/configmaps/one`, says: /^405$/ },
  {
    sh: "curl -H 'Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' $API/apis",
    says: /"APIGroupDiscoveryList"/,
  },
  {
    sh: "curl $API/openapi/v3 | grep -o '/openapi/v3/apis/apps/v1?hash=[0-9A-F]*' | head -1 >path; curl -D head -o doc.json $API$(cat path); grep -i etag head; curl -o /dev/null -w '%{http_code}' -H \"If-None-Match: $(grep -i ^etag head | tr -d '\\r' | cut -d' ' -f2)\" $API/openapi/v3/apis/apps/v1",
    says: /304$/,
  },
  {
    sh: `curl ${post.slice(5)} -H 'Impersonate-User: eve' $API/apis/authentication.k8s.io/v1/selfsubjectreviews -d '{}'`,
    says: /"username": ?"eve"/,
  },
  { sh: `curl -q -sS --cacert $CA ${status} -H 'Authorization: Bearer nonsense' $MINE/pods`, says: /^401$/ },
  { sh: `curl -q -sS --cacert $CA $MINE/pods`, says: [/"code": ?40[13]/] },
  { sh: `curl -q -sS --cacert $CA $API/version`, says: /gitVersion/ },
  { sh: `curl ${status} "$MINE/pods?timeout=abc"`, says: /^400$/ },
  { sh: 'curl "$MINE/configmaps/one?pretty=true"', says: /^\{\n {2}"kind"/ },
  {
    sh: `curl ${status} $API/apis/metrics.k8s.io/v1beta1/nodes`,
    says: /^200$/,
  },
];

/** In the order of typing. */
export const curlRows: readonly Row[] = [...objects, ...lists, ...watches, ...pods, ...server];
