import { bareError, forbidden } from '#api/errors/status.ts';
import { labelValue, qualifiedName } from '#api/validation/format.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, stringMapOf, stringOf, withPath } from '#api/wire/json.ts';
import type {
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { wrong } from '#control-plane/apiserver/chain/admission/configuration.ts';
import { namespaceAnnotation } from './namespace-annotation.ts';
import { makesPod, pods } from './pod.ts';

type Labels = Readonly<Record<string, string>>;

/** The labels of nodes that pods go to, and those that pods of a namespace may ask for. */
export interface NodeSelectors {
  /** Of namespaces that say nothing in their annotation. */
  readonly byDefault: Labels;
  /** By namespace; one that is not here may ask for any. */
  readonly allowed: ReadonlyMap<string, Labels>;
}

export const noNodeSelectors: NodeSelectors = { byDefault: {}, allowed: new Map() };

const annotation = 'scheduler.alpha.kubernetes.io/node-selector';
const defaultName = 'clusterDefaultNodeSelector';
const root = 'podNodeSelectorPluginConfig';

/**
 * New pods go where their namespace, or else the cluster, says (plugin/pkg/admission/podnodeselector), and ask for no other labels than
 * their namespace may.
 */
export function podNodeSelector(selectors: NodeSelectors = noNodeSelectors): AdmissionPlugin {
  return {
    name: 'PodNodeSelector',
    handles: (attributes) => (makesPod(attributes) ? 'mayWait' : 'no'),
    admit: async (context, request) => {
      const wanted = await selectorOf(context, selectors, request);
      const pod = request.object ?? {};
      const merged = { ...wanted, ...stringMapOf(at(pod, 'spec.nodeSelector')) };
      const selected = Object.keys(merged).length === 0 ? pod : withPath(pod, 'spec.nodeSelector', merged);
      check(selectors, { ...request, object: selected }, wanted);
      return selected;
    },
    validate: async (context, request) =>
      check(selectors, request, await selectorOf(context, selectors, request)),
  };
}

/** @throws {E_API} 403 for a pod that asks for something else than its namespace */
function check(
  { allowed }: NodeSelectors,
  { attributes: { namespace }, object: pod = {} }: AdmissionRequest,
  wanted: Labels,
): void {
  const asked = stringMapOf(at(pod, 'spec.nodeSelector'));
  const refuse = (cause: string): Error => forbidden(pods, stringOf(at(pod, 'metadata.name')), cause);
  if (Object.entries(wanted).some(([key, value]) => Object.hasOwn(asked, key) && asked[key] !== value))
    throw refuse('pod node label selector conflicts with its namespace node label selector');
  const may = allowed.get(namespace) ?? {};
  if (Object.keys(may).length === 0) return;
  if (Object.entries(asked).every(([key, value]) => Object.hasOwn(may, key) && may[key] === value)) return;
  throw refuse('pod node label selector labels conflict with its namespace whitelist');
}

async function selectorOf(
  context: AdmissionContext,
  { byDefault }: NodeSelectors,
  { attributes: { namespace } }: AdmissionRequest,
): Promise<Labels> {
  const own = await namespaceAnnotation(context, namespace, annotation);
  if (own === undefined) return byDefault;
  const selector = parseSelector(own);
  if (typeof selector === 'string') throw bareError(selector);
  return selector;
}

/** The labels of `a=b,c=d`, or what is wrong with it. */
export function parseSelector(text: string): Labels | string {
  const labels = new Map<string, string>();
  for (const part of text === '' ? [] : text.split(',')) {
    const sides = part.split('=').map((side) => side.trim());
    const [key = '', value = ''] = sides;
    if (sides.length !== 2) return `invalid selector: [${sides.join(' ')}]`;
    const [fault] = [...qualifiedName(key), ...labelValue(value)];
    if (fault !== undefined) return `invalid selector: ${part.trim()}: ${fault}`;
    labels.set(key, value);
  }
  return Object.fromEntries(labels);
}

/** `podNodeSelectorPluginConfig: { clusterDefaultNodeSelector: 'a=b', NAMESPACE: 'c=d' }`. @throws {E_INVALID} */
export function parseNodeSelectors(value: JsonObject): NodeSelectors {
  const odd = Object.keys(value).find((field) => field !== root);
  if (odd !== undefined) throw wrong(odd, 'unknown field');
  const given = value[root] ?? {};
  if (!isObject(given)) throw wrong(root, 'must have selectors by namespace');
  const selectors = Object.entries(given).map(([name, text]) => {
    const selector = typeof text === 'string' ? parseSelector(text) : 'must be a text';
    if (typeof selector === 'string') throw wrong(`${root}.${name}`, selector);
    return [name, selector] as const;
  });
  return {
    byDefault: selectors.find(([name]) => name === defaultName)?.[1] ?? {},
    allowed: new Map(selectors.filter(([name]) => name !== defaultName)),
  };
}
