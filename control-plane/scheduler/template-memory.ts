import { mayBeOfClass } from '#api/device/extended-resources.ts';
import type { Container, Pod } from '#api/generated/objects.ts';
import { controllerUidOf, requestsOf } from './pod-facts.ts';
import type { DeviceLookUp } from './devices/look-up.ts';
import type { NodeInfo, Snapshot } from './snapshot.ts';

/** Why a node does not do. */
export interface Refusal {
  /** Name of the plugin. */
  readonly by: string;
  readonly reasons: readonly string[];
  /** Whether it might do once pods of lower priority are gone. */
  readonly isHelpedByEviction: boolean;
}

/**
 * What pods of one template are answered, kept from one decision to the next. The state of a node is another object whenever something of it
 * has changed (snapshot.ts), so that what is known of a node at a place of the list is good for as long as the same object is there: comparing
 * is all that a decision costs of nodes that are as they were. (Opportunistic batching of KEP-5598 keeps an order of nodes instead, which serves pods
 * that have a node for themselves.)
 */
export interface TemplateMemory {
  readonly answers: Answers;
  /**
   * Sums over all nodes of what each adds, by key. `what` says all that this depends on beside the node and the pod's template, labels, namespace and
   * controller. The map is the memory's own, and changes with the next question.
   */
  sums(what: string, nodes: readonly NodeInfo[], adds: Adds): ReadonlyMap<string, Sum>;
}

/** What a node adds to the sums, perhaps 0. */
export type Adds = (node: NodeInfo) => readonly (readonly [key: string, amount: number])[];

export interface Sum {
  amount: number;
  /** How many nodes add to it: a key is there as long as there is one. */
  nodes: number;
}

export interface TemplateMemories {
  /** Whether classes of devices stand for the pod's resources is part of the question, for steady plugins look at it. */
  for(pod: Pod, profileName: string, devices?: Pick<DeviceLookUp, 'classOf'>): TemplateMemory;
}

/** Of those used last: each has a few words for each node. */
const templatesMax = 16;
/** Sums of one template and one set of labels. */
const sumsMax = 16;

export function createTemplateMemories(): TemplateMemories {
  const byTemplate = new Map<string, Answers>();
  const byLabels = new Map<string, Map<string, KeptSums>>();
  return {
    for: (pod, profileName, devices) => {
      const template = JSON.stringify([profileName, templateOf(pod), classedOf(pod, devices)]);
      const { namespace, labels } = pod.metadata ?? {};
      const whose = `${JSON.stringify([namespace, labels, controllerUidOf(pod)])} ${template}`;
      const make = (): Map<string, KeptSums> => new Map();
      return {
        answers: lastUsed(byTemplate, template, { max: templatesMax, make: () => new Answers() }),
        sums: (what, nodes, adds) => {
          const all = lastUsed(byLabels, whose, { max: templatesMax, make });
          return lastUsed(all, what, { max: sumsMax, make: () => new KeptSums() }).of(nodes, adds);
        },
      };
    },
  };
}

/** What of a decision's context it takes. */
interface Looked {
  readonly snapshot: Pick<Snapshot, 'nodes'>;
  readonly memory?: TemplateMemory | undefined;
}

/** The same, with or without a memory. `among`: the only nodes that add anything, where there is none. */
export function sumsOver(
  { snapshot: { nodes }, memory }: Looked,
  what: string,
  adds: Adds,
  among: readonly NodeInfo[] = nodes,
): ReadonlyMap<string, Sum> {
  return memory === undefined ? new KeptSums().of(among, adds) : memory.sums(what, nodes, adds);
}

/** What steady plugins said of nodes, by their places in the list of all. Columns of numbers, as hundreds are read for each decision. */
export class Answers {
  readonly #asked: (NodeInfo | undefined)[] = [];
  readonly #refusals: (Refusal | undefined)[] = [];
  readonly #scored: (NodeInfo | undefined)[] = [];
  #columns: Float64Array[] = [];
  /** Whether a column has anything but 0. */
  #says: boolean[] = [];

  refusal(node: NodeInfo, place: number, ask: (node: NodeInfo) => Refusal | undefined): Refusal | undefined {
    if (this.#asked[place] === node) return this.#refusals[place];
    while (this.#asked.length < place) this.#asked.push(undefined); // An array with holes would be a slow one.
    const refusal = ask(node);
    this.#asked[place] = node;
    while (this.#refusals.length < place) this.#refusals.push(undefined);
    this.#refusals[place] = refusal;
    return refusal;
  }

  /** The raw scores of the nodes at these places are in the columns then, one for each plugin that is asked; undefined: all are 0. */
  columns(
    places: readonly number[],
    nodes: readonly NodeInfo[],
    plugins: () => readonly (((node: NodeInfo) => number) | undefined)[],
  ): readonly (Float64Array | undefined)[] {
    let asked: ReturnType<typeof plugins> | undefined;
    for (let index = 0; index < places.length; index++) {
      const [place, node] = [places[index] ?? 0, nodes[index]];
      if (node === undefined || this.#scored[place] === node) continue;
      asked ??= plugins();
      this.#makeRoom(place, asked.length);
      for (let column = 0; column < asked.length; column++) {
        const numbers = this.#columns[column];
        const score = asked[column]?.(node) ?? 0; // Without a preference: the same for all.
        if (numbers !== undefined) numbers[place] = score;
        if (score !== 0) this.#says[column] = true;
      }
      this.#scored[place] = node;
    }
    return this.#columns.map((numbers, column) => (this.#says[column] === true ? numbers : undefined));
  }

  #makeRoom(place: number, columns: number): void {
    while (this.#scored.length <= place) this.#scored.push(undefined);
    if (this.#columns.length === columns && (this.#columns[0]?.length ?? Infinity) > place) return;
    const length = Math.max(128, 2 ** Math.ceil(Math.log2(place + 1)));
    this.#columns = Array.from({ length: columns }, (_, column) => {
      const larger = new Float64Array(length);
      larger.set(this.#columns[column] ?? []);
      return larger;
    });
  }
}

const nothing: ReturnType<Adds> = [];

/** Sums that follow their nodes: what a node added is taken away when another state of it, or another node, is at its place. */
class KeptSums {
  readonly #nodes: NodeInfo[] = [];
  readonly #added: ReturnType<Adds>[] = [];
  readonly #sums = new Map<string, Sum>();

  of(nodes: readonly NodeInfo[], adds: Adds): ReadonlyMap<string, Sum> {
    for (; this.#nodes.length > nodes.length; this.#nodes.pop())
      this.#count(this.#added.pop() ?? nothing, -1);
    const known = this.#nodes; // Of thousands, for each decision: no field is looked up for each.
    for (let place = 0; place < nodes.length; place++) {
      const node = nodes[place];
      if (node === undefined || known[place] === node) continue;
      const what = adds(node);
      this.#count(this.#added[place] ?? nothing, -1);
      this.#count(what, 1);
      known[place] = node;
      this.#added[place] = what.length === 0 ? nothing : what;
    }
    return this.#sums;
  }

  #count(what: ReturnType<Adds>, sign: 1 | -1): void {
    for (const [key, amount] of what) {
      const sum = this.#sums.get(key) ?? { amount: 0, nodes: 0 };
      sum.amount += sign * amount;
      sum.nodes += sign;
      if (sum.nodes === 0) this.#sums.delete(key);
      else this.#sums.set(key, sum);
    }
  }
}

/** All of a pod that steady plugins read: what differs from pod to pod of one controller is not among it. */
function templateOf({ spec, status }: Pod): unknown {
  const {
    volumes: _volumes,
    hostname: _hostname,
    subdomain: _subdomain,
    containers = [],
    initContainers = [],
    ...more
  } = spec ?? {};
  const held = [status?.resources, status?.containerStatuses, status?.initContainerStatuses];
  return [more, containers.map(askedBy), initContainers.map(askedBy), held];
}

/** The resources of a pod that classes of devices stand for. */
function classedOf(pod: Pod, devices: Pick<DeviceLookUp, 'classOf'> | undefined): readonly string[] {
  const names: string[] = [];
  for (const name of requestsOf(pod).keys())
    if (mayBeOfClass(name) && devices?.classOf(name) !== undefined) names.push(name);
  return names;
}

function askedBy({ image, ports, resources, restartPolicy, restartPolicyRules }: Container): unknown {
  return [image, ports, resources, restartPolicy, restartPolicyRules];
}

/** The value of the key, which is then the last that goes. */
function lastUsed<V>(
  map: Map<string, V>,
  key: string,
  { max, make }: { readonly max: number; readonly make: () => V },
): V {
  const value = map.get(key) ?? make();
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > max && oldest !== undefined) map.delete(oldest);
  return value;
}
