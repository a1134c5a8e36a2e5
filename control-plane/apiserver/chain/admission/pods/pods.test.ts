import { expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { withPath } from '#api/wire/json.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { ask, contextWith, store } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { alwaysPullImages } from './always-pull-images.ts';
import { extendedResourceToleration } from './extended-resource-toleration.ts';
import { limitPodHardAntiAffinityTopology } from './limit-pod-hard-anti-affinity-topology.ts';
import { podTopologyLabels } from './pod-topology-labels.ts';
import { pods } from './pod.ts';
import { priority } from './priority.ts';
import { runtimeClass } from './runtime-class.ts';

const pod: JsonObject = {
  metadata: { name: 'p' },
  spec: { containers: [{ name: 'c', image: 'i' }], tolerations: [{ key: 'own', operator: 'Exists' }] },
};
/** The pod with these fields, by path. */
const podWith = (fields: JsonObject, base: JsonObject = pod): JsonObject =>
  Object.entries(fields).reduce((next, [path, value]) => withPath(next, path, value), base);
const refusal = (cause: string) => ({ code: 403, message: `pods "p" is forbidden: ${cause}` });

/** What is there: by its path, the objects. */
const cluster: Readonly<Record<string, readonly JsonObject[]>> = {
  'node.k8s.io/v1/runtimeclasses': [
    { metadata: { name: 'plain' }, handler: 'h' },
    {
      ...{ metadata: { name: 'rc' }, handler: 'h', overhead: { podFixed: { cpu: '10m' } } },
      scheduling: { nodeSelector: { a: 'b' }, tolerations: [{ key: 'k', operator: 'Exists' }] },
    },
  ],
  'v1/nodes': [
    {
      metadata: {
        name: 'a',
        labels: {
          'topology.kubernetes.io/zone': 'z',
          'topology.kubernetes.io/region': 'r',
          'kubernetes.io/hostname': 'a',
        },
      },
    },
    { metadata: { name: 'bare' } },
  ],
  'scheduling.k8s.io/v1/priorityclasses': [
    { metadata: { name: 'high' }, value: 1000, preemptionPolicy: 'PreemptLowerPriority' },
    { metadata: { name: 'gd' }, value: 7, globalDefault: true, preemptionPolicy: 'Never' },
    { metadata: { name: 'gd2' }, value: 8, globalDefault: true, preemptionPolicy: 'Never' },
  ],
};
const zones = { 'topology.kubernetes.io/zone': 'z', 'topology.kubernetes.io/region': 'r' };
const binding = (target: JsonObject): JsonObject => ({ metadata: { name: 'p' }, target });
const always = { imagePullPolicy: 'Always' };
const never = { name: 'c', image: 'i', imagePullPolicy: 'Never' };
const anti = 'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution';
const asking = (name: string): JsonObject => ({ name: 'c', resources: { requests: { [name]: '1' } } });
const merged = [
  { key: 'own', operator: 'Exists' },
  { key: 'k', operator: 'Exists' },
];

interface Row {
  readonly name: string;
  readonly given: JsonObject;
  readonly old?: JsonObject;
  readonly subresource?: string;
  /** What comes of it: these fields, or nothing else. */
  readonly becomes?: JsonObject;
  readonly refused?: string;
}

const rows: readonly { readonly plugin: AdmissionPlugin; readonly rows: readonly Row[] }[] = [
  {
    plugin: runtimeClass,
    rows: [
      { name: 'no class', given: pod },
      { name: 'a class that says nothing', given: podWith({ 'spec.runtimeClassName': 'plain' }) },
      {
        name: 'a class with overhead and places',
        given: podWith({ 'spec.runtimeClassName': 'rc' }),
        becomes: {
          'spec.overhead': { cpu: '10m' },
          'spec.nodeSelector': { a: 'b' },
          'spec.tolerations': merged,
        },
      },
      {
        name: 'the same overhead, written otherwise, and the same place',
        given: podWith({
          'spec.runtimeClassName': 'rc',
          'spec.overhead': { cpu: '0.01' },
          'spec.nodeSelector': { a: 'b', c: 'd' },
        }),
        becomes: { 'spec.overhead': { cpu: '10m' }, 'spec.tolerations': merged },
      },
      {
        name: 'a class that is not there',
        given: podWith({ 'spec.runtimeClassName': 'zz' }),
        refused: 'pod rejected: RuntimeClass "zz" not found',
      },
      {
        name: 'another place',
        given: podWith({ 'spec.runtimeClassName': 'rc', 'spec.nodeSelector': { a: 'c' } }),
        refused: 'conflict: runtimeClass.scheduling.nodeSelector[a] = b; pod.spec.nodeSelector[a] = c',
      },
      {
        name: 'another overhead',
        given: podWith({ 'spec.runtimeClassName': 'rc', 'spec.overhead': { cpu: '1' } }),
        refused: "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
      },
      ...[{}, { 'spec.runtimeClassName': 'plain' }].map((fields) => ({
        name: 'overhead of no class',
        given: podWith({ ...fields, 'spec.overhead': { cpu: '1' } }),
        refused: 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
      })),
    ],
  },
  {
    plugin: podTopologyLabels,
    rows: [
      {
        name: 'a binding',
        subresource: 'binding',
        given: binding({ kind: 'Node', name: 'a' }),
        becomes: { 'metadata.labels': zones },
      },
      {
        name: 'a binding to a bare node',
        subresource: 'binding',
        given: binding({ kind: 'Node', name: 'bare' }),
      },
      { name: 'a binding to no node', subresource: 'binding', given: binding({ kind: 'Node', name: 'zz' }) },
      {
        name: 'a binding to something else',
        subresource: 'binding',
        given: binding({ kind: 'X', name: 'a' }),
      },
      { name: 'a new pod without a node', given: pod },
      {
        name: 'a new pod with a node, which says otherwise itself',
        given: podWith({
          'spec.nodeName': 'a',
          'metadata.labels': { x: 'y', 'topology.kubernetes.io/zone': 'q' },
        }),
        becomes: { 'metadata.labels': { x: 'y', ...zones } },
      },
      {
        name: 'an update',
        old: podWith({ 'spec.nodeName': 'a' }),
        given: podWith({ 'spec.nodeName': 'a' }),
      },
    ],
  },
  {
    plugin: priority,
    rows: [
      {
        name: 'no class: the lowest that is for all',
        given: pod,
        becomes: { 'spec.priorityClassName': 'gd', 'spec.priority': 7, 'spec.preemptionPolicy': 'Never' },
      },
      {
        name: 'a class',
        given: podWith({ 'spec.priorityClassName': 'high' }),
        becomes: { 'spec.priority': 1000, 'spec.preemptionPolicy': 'PreemptLowerPriority' },
      },
      {
        name: 'a class and its number',
        given: podWith({ 'spec.priorityClassName': 'high', 'spec.priority': 1000 }),
        becomes: { 'spec.preemptionPolicy': 'PreemptLowerPriority' },
      },
      {
        name: 'a class of the system',
        given: podWith({ 'spec.priorityClassName': 'system-node-critical' }),
        becomes: { 'spec.priority': 2_000_001_000, 'spec.preemptionPolicy': 'PreemptLowerPriority' },
      },
      {
        name: 'a number',
        given: podWith({ 'spec.priority': 5 }),
        refused:
          'the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 7 from the given PriorityClass name',
      },
      {
        name: 'a class and another number',
        given: podWith({ 'spec.priorityClassName': 'high', 'spec.priority': 7 }),
        refused:
          'the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 1000 from the given PriorityClass name',
      },
      {
        name: 'a class and another policy',
        given: podWith({ 'spec.priorityClassName': 'high', 'spec.preemptionPolicy': 'Never' }),
        refused:
          'the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller computed PreemptLowerPriority from the given PriorityClass name',
      },
      {
        name: 'an update that does not say it',
        old: podWith({ 'spec.priority': 3, 'spec.preemptionPolicy': 'Never' }),
        given: pod,
        becomes: { 'spec.priority': 3, 'spec.preemptionPolicy': 'Never' },
      },
    ],
  },
  {
    plugin: alwaysPullImages,
    rows: [
      {
        name: 'a new pod',
        given: podWith({
          'spec.containers': [never],
          'spec.initContainers': [never],
          'spec.volumes': [{ name: 'v', image: { reference: 'i', pullPolicy: 'Never' } }, { name: 'w' }],
        }),
        becomes: {
          'spec.containers': [{ ...never, ...always }],
          'spec.initContainers': [{ ...never, ...always }],
          'spec.volumes': [{ name: 'v', image: { reference: 'i', pullPolicy: 'Always' } }, { name: 'w' }],
        },
      },
      {
        name: 'an update with no other image',
        old: podWith({ 'spec.containers': [never] }),
        given: podWith({ 'spec.containers': [never], 'metadata.labels': { a: 'b' } }),
      },
      {
        name: 'an update with another image',
        old: podWith({ 'spec.containers': [never] }),
        given: podWith({ 'spec.containers': [{ ...never, image: 'j' }] }),
        becomes: { 'spec.containers': [{ ...never, image: 'j', ...always }] },
      },
    ],
  },
  {
    plugin: limitPodHardAntiAffinityTopology,
    rows: [
      { name: 'nothing', given: pod },
      { name: 'the node', given: podWith({ [anti]: [{ topologyKey: 'kubernetes.io/hostname' }] }) },
      {
        name: 'a zone',
        given: podWith({ [anti]: [{ topologyKey: 'zone' }] }),
        refused:
          'affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only key kubernetes.io/hostname is allowed',
      },
    ],
  },
  {
    plugin: extendedResourceToleration,
    rows: [
      {
        name: 'what is Kubernetes own',
        given: podWith({ 'spec.containers': [asking('cpu'), asking('hugepages-2Mi')] }),
      },
      {
        name: 'devices of two containers',
        given: podWith({
          'spec.containers': [asking('b.com/x')],
          'spec.initContainers': [asking('a.com/x')],
        }),
        becomes: {
          'spec.tolerations': [
            { key: 'own', operator: 'Exists' },
            { key: 'a.com/x', operator: 'Exists', effect: 'NoSchedule' },
            { key: 'b.com/x', operator: 'Exists', effect: 'NoSchedule' },
          ],
        },
      },
      {
        name: 'a device that is tolerated',
        given: podWith({
          'spec.containers': [asking('b.com/x')],
          'spec.tolerations': [{ key: 'b.com/x', operator: 'Exists', effect: 'NoSchedule' }],
        }),
      },
    ],
  },
];

it.each(rows.flatMap(({ plugin, rows: own }) => own.map((row) => ({ plugin, ...row }))))(
  '$plugin.name: $name',
  async ({ plugin, given, old, subresource, becomes = {}, refused }) => {
    const context = await contextWith([]);
    for (const [resource, objects] of Object.entries(cluster))
      for (const object of objects) await store(context, resource, object);
    const answer = await ask(context, plugin, {
      ...{ kind: pods, object: given, old },
      ...(subresource === undefined ? {} : { subresource }),
    });
    expect(answer).toEqual(refused === undefined ? { object: podWith(becomes, given) } : refusal(refused));
  },
);
