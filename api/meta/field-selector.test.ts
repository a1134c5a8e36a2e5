import { describe, expect, it } from 'vitest';
import { matchesFields, parseFieldSelector } from './field-selector.ts';
import { findKind, kinds, type Kind } from '#api/schema/kinds.ts';

describe('matchesFields()', () => {
  const kind = (group: string, version: string, resource: string): Kind =>
    findKind(group, version, resource) as Kind;
  const pod = {
    metadata: { name: 'p', namespace: 'n' },
    spec: { nodeName: 'a' },
    status: { phase: 'Running', podIPs: [{ ip: '10.0.0.1' }] },
  };

  it.each([
    ['metadata.name=p', true],
    ['metadata.name=q', false],
    ['metadata.name!=q', true],
    ['metadata.namespace=n', true],
    ['spec.nodeName=a,status.phase!=Failed', true],
    ['spec.nodeName=', false],
    ['spec.hostNetwork=false', true],
    ['status.podIPs=10.0.0.1', true],
    ['', true],
  ])('%s of a pod is %s', (text, want) => {
    expect(matchesFields(kind('', 'v1', 'pods'), parseFieldSelector(text), pod)).toBe(want);
  });

  it('reads escapes', () => {
    expect(parseFieldSelector(String.raw`a=b\,c\=d`)).toEqual([{ field: 'a', equal: true, value: 'b,c=d' }]);
  });

  // The answers of kube-apiserver 1.36.2 (admission-evict-fieldsel-observed).
  it.each([
    ['', 'v1', 'pods', 'spec.priorityClassName', 'field label not supported: spec.priorityClassName'],
    ['', 'v1', 'namespaces', 'name', 'field label not supported: name'],
    [
      'events.k8s.io',
      'v1',
      'events',
      'involvedObject.kind',
      'field label not supported: involvedObject.kind',
    ],
    [
      'apps',
      'v1',
      'replicasets',
      'status.replicas',
      '"status.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ],
    [
      '',
      'v1',
      'persistentvolumes',
      'spec.claimRef.name',
      '"spec.claimRef.name" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ],
  ])('%s/%s %s refuses %s', (group, version, resource, field, message) => {
    const selector = parseFieldSelector(`${field}=x`);
    expect(() => matchesFields(kind(group, version, resource), selector, {})).toThrow(message);
  });

  it.each([
    ['', 'v1', 'services', 'spec.clusterIP'],
    ['', 'v1', 'services', 'spec.type'],
    ['', 'v1', 'nodes', 'spec.unschedulable'],
    ['', 'v1', 'secrets', 'type'],
    ['', 'v1', 'namespaces', 'status.phase'],
    ['', 'v1', 'events', 'involvedObject.kind'],
    ['', 'v1', 'events', 'source'],
    ['', 'v1', 'events', 'reportingComponent'],
    ['', 'v1', 'replicationcontrollers', 'status.replicas'],
    ['batch', 'v1', 'jobs', 'status.successful'],
    ['certificates.k8s.io', 'v1', 'certificatesigningrequests', 'spec.signerName'],
    ['resource.k8s.io', 'v1', 'resourceslices', 'spec.driver'],
    ['events.k8s.io', 'v1', 'events', 'regarding.kind'],
  ])('%s/%s %s takes %s', (group, version, resource, field) => {
    expect(matchesFields(kind(group, version, resource), parseFieldSelector(`${field}!=x`), {})).toBe(true);
  });

  it.each(kinds.map((each) => [`${each.group}/${each.resource}`, each] as const))(
    'takes metadata.name of %s',
    (_name, each) => {
      expect(matchesFields(each, parseFieldSelector('metadata.name=x'), { metadata: { name: 'x' } })).toBe(
        true,
      );
    },
  );
});
