import { expect, it } from 'vitest';
import type { Container, DeviceClass, Pod } from '#api/generated/objects.ts';
import {
  classableResources,
  classesByResource,
  extendedRequestsOf,
  isOfClaim,
  requestsOfContainer,
} from './extended-resources.ts';

const gpu = 'example.com/gpu';
const deviceClass = (
  name: string,
  extendedResourceName?: string,
  creationTimestamp?: string,
): DeviceClass => ({
  metadata: { name, ...(creationTimestamp === undefined ? {} : { creationTimestamp }) },
  spec: extendedResourceName === undefined ? {} : { extendedResourceName },
});
const wants = (
  name: string,
  amounts: Readonly<Record<string, string>>,
  more: Partial<Container> = {},
): Container => ({
  ...{ name, image: 'i', ...more },
  resources: { requests: amounts },
});
const podOf = (containers: readonly Container[], initContainers: readonly Container[] = []): Pod => ({
  metadata: { name: 'p', namespace: 'ns', uid: 'u' },
  spec: { containers, initContainers },
});

it.each<readonly [name: string, classes: readonly DeviceClass[], want: Readonly<Record<string, string>>]>([
  ['its own name', [deviceClass('a')], { 'deviceclass.resource.kubernetes.io/a': 'a' }],
  [
    'the name that it says, too',
    [deviceClass('a', gpu)],
    { 'deviceclass.resource.kubernetes.io/a': 'a', [gpu]: 'a' },
  ],
  [
    'the younger of two',
    [deviceClass('b', gpu, '2026-01-02T00:00:00Z'), deviceClass('a', gpu, '2026-01-01T00:00:00Z')],
    { [gpu]: 'b' },
  ],
  ['of two of one age the first', [deviceClass('b', gpu), deviceClass('a', gpu)], { [gpu]: 'a' }],
])('classes stand for resources by %s', (_name, classes, want) => {
  const found = classesByResource(classes);
  for (const [resource, name] of Object.entries(want)) expect(found.get(resource)?.metadata?.name).toBe(name);
});

it('what a pod asks for of a domain of others, or of a class, may be of a class', () => {
  const asks = { cpu: '1', [gpu]: '2', 'example.com/none': '0', 'deviceclass.resource.kubernetes.io/x': '1' };
  const pod = podOf([wants('c', { ...asks, 'kubernetes.io/other': '1', 'hugepages-2Mi': '2Mi' })]);
  expect(classableResources(pod)).toEqual(['deviceclass.resource.kubernetes.io/x', gpu]);
});

const sidecar = { restartPolicy: 'Always' } as const;

/** Init containers, containers; `request=count` of each, and `container:request` of each mapping. */
it.each<
  readonly [
    name: string,
    init: readonly Container[],
    main: readonly Container[],
    requests: string,
    mappings: string,
  ]
>([
  [
    'one container',
    [],
    [wants('c', { cpu: '1', [gpu]: '2' })],
    'container-0-request-1=2',
    'c:container-0-request-1',
  ],
  [
    'two containers have their own',
    [],
    [wants('c', { [gpu]: '2' }), wants('d', { [gpu]: '1' })],
    'container-0-request-0=2 container-1-request-0=1',
    'c:container-0-request-0 d:container-1-request-0',
  ],
  [
    'an init container uses what comes later',
    [wants('i', { [gpu]: '1' })],
    [wants('c', { [gpu]: '2' })],
    'container-1-request-0=2',
    'c:container-1-request-0 i:container-1-request-0',
  ],
  [
    'and asks for what it needs beyond, with others of its kind',
    [wants('i', { [gpu]: '3' }), wants('j', { [gpu]: '5' })],
    [wants('c', { [gpu]: '2' })],
    'container-1-request-0=3 container-2-request-0=2',
    'c:container-2-request-0 i:container-2-request-0 i:container-1-request-0 j:container-2-request-0 j:container-1-request-0',
  ],
  [
    'not what a sidecar has that runs already',
    [wants('s', { [gpu]: '1' }, sidecar), wants('i', { [gpu]: '1' })],
    [wants('c', { cpu: '1' })],
    'container-0-request-0=1 container-1-request-0=1',
    's:container-0-request-0 i:container-1-request-0',
  ],
])('a claim stands for %s', (_name, init, main, requests, mappings) => {
  const found = extendedRequestsOf(podOf(main, init), [gpu], () => deviceClass('gpu'));
  expect(found.requests.map(({ name, exactly }) => `${name}=${exactly?.count}`).join(' ')).toBe(requests);
  expect(found.requests.every(({ exactly }) => exactly?.deviceClassName === 'gpu')).toBe(true);
  expect(found.mappings.map((each) => `${each.containerName}:${each.requestName}`).join(' ')).toBe(mappings);
  expect(found.mappings.every(({ resourceName }) => resourceName === gpu)).toBe(true);
});

it('of a pod that has such a claim the kubelet asks no plugin', () => {
  const pod: Pod = {
    ...podOf([wants('c', { [gpu]: '1' })]),
    status: {
      extendedResourceClaimStatus: {
        resourceClaimName: 'p-extended-resources-1',
        requestMappings: [{ containerName: 'c', requestName: 'r', resourceName: gpu }],
      },
    },
  };
  expect(requestsOfContainer(pod, 'c')).toEqual(['r']);
  expect(requestsOfContainer(pod, 'd')).toEqual([]);
  expect([isOfClaim(pod, 'c', gpu), isOfClaim(pod, 'c', 'other/x'), isOfClaim(pod, 'd', gpu)]).toEqual([
    true,
    false,
    false,
  ]);
});
