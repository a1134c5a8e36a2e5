/** Kinds that a user brings: each suite has a group of its own, for definitions are everybody's. */
import type { Row } from '#test/clients/rows.ts';

const gadgets = 'gadgets.$NS.example.com';
const gadget = (name: string, spec: string, version = 'v1'): string =>
  `printf 'apiVersion: %s.example.com/${version}\\nkind: Gadget\\nmetadata: {name: ${name}}\\nspec: ${spec}\\n' $NS`;

/** In the order of typing. */
export const customRows: readonly Row[] = [
  {
    sh: `sed "s/GROUP/$NS.example.com/" $FILES/gadgets.yaml | kubectl create -f - && kubectl wait crd ${gadgets} --for=condition=Established --timeout=5s`,
    says: [/gadgets.\S+ created/, /condition met/],
  },
  { sh: `kubectl get ${gadgets}`, says: /No resources found/ },
  { sh: `kubectl api-resources --api-group=$NS.example.com`, says: /gadgets\s.*true\s+Gadget/ },
  { sh: `${gadget('one', '{color: blue}')} | kubectl apply -f -`, says: /gadget\S+\/one created/ },
  { sh: `${gadget('one', '{color: blue}')} | kubectl apply -f -`, says: /gadget\S+\/one unchanged/ },
  {
    sh: `${gadget('one', '{color: blue, size: 4}')} | kubectl apply -f -`,
    says: /gadget\S+\/one configured/,
  },
  { sh: `kubectl get ${gadgets}`, says: [/NAME\s+COLOR\s+SIZE/, /one\s+blue\s+4/] },
  { sh: `kubectl get gizmos -o name`, says: /gadget\S+\/one/ },
  { sh: `kubectl get ${gadgets} --field-selector spec.color=red`, says: /No resources found/ },
  { sh: `kubectl describe ${gadgets} one`, says: [/Kind:\s+Gadget/, /Color:\s+blue/] },
  { sh: `kubectl get gadgets.v1beta1.$NS.example.com one`, says: /v1beta1 Gadget is deprecated; use/ },
  {
    sh: `${gadget('two', '{color: green}')} | kubectl create -f -`,
    code: 1,
    says: /Unsupported value: "green": supported values: "red", "blue"/,
  },
  {
    sh: `${gadget('two', '{color: red, size: 1}')} | kubectl create -f -`,
    code: 1,
    says: /red ones are large/,
  },
  {
    sh: `${gadget('two', '{color: red, shape: round}')} | kubectl create -f -`,
    code: 1,
    says: /unknown field "?(spec.)?shape/,
  },
  {
    sh: `kubectl patch ${gadgets} one --type=merge -p '{"spec":{"size":5}}' && kubectl get ${gadgets} one -o jsonpath={.spec.size}`,
    says: /5$/,
  },
  {
    sh: `kubectl patch ${gadgets} one --type=strategic -p '{"spec":{"size":6}}'`,
    code: 1,
    says: /is not supported|Unsupported ?Media ?Type/i,
  },
  {
    sh: `kubectl scale ${gadgets} one --replicas=7 && kubectl get ${gadgets} one -o jsonpath={.spec.size}`,
    says: [/scaled/, /7$/],
  },
  {
    sh: `kubectl patch ${gadgets} one --subresource=status --type=merge -p '{"status":{"phase":"Ready"},"spec":{"size":9}}' && kubectl wait ${gadgets} one --for=jsonpath={.status.phase}=Ready --timeout=5s && kubectl get ${gadgets} one -o jsonpath={.spec.size}`,
    since: 24,
    says: [/condition met/, /7$/],
  },
  {
    sh: `kubectl explain gadget.spec --api-version=$NS.example.com/v1`,
    says: [/KIND:\s+Gadget/, /size\s+<integer>/],
  },
  { sh: `kubectl label ${gadgets} one a=b && kubectl get ${gadgets} -l a=b -o name`, says: /gadget\S+\/one/ },
  { sh: `kubectl delete ${gadgets} --all`, says: /"one" deleted/ },
  {
    sh: `kubectl delete crd ${gadgets} && ! kubectl get ${gadgets}`,
    says: [/deleted/, /doesn't have a resource type/],
  },
];
