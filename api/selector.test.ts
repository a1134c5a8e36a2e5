import { isPodwrightError } from '#base/errors.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findKind, kinds, type Kind } from './kinds.ts';
import {
  formatLabelSelector,
  labelSelectorFromMap,
  labelSelectorFromObject,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from './selector.ts';

describe('parseLabelSelector() and matchesLabels()', () => {
  it.each([
    ['', {}, true],
    ['a=b', { a: 'b' }, true],
    ['a=b', { a: 'c' }, false],
    ['a==b', { a: 'b' }, true],
    ['a=', { a: '' }, true],
    ['a=,b', { a: '', b: 'x' }, true],
    ['a!=b', {}, true],
    ['a!=b', { a: 'b' }, false],
    ['a', { a: '' }, true],
    ['a', {}, false],
    ['!a', {}, true],
    ['! a', { a: '' }, false],
    ['a in (b,c)', { a: 'c' }, true],
    ['a in (b, c)', {}, false],
    ['a in ()', { a: '' }, true],
    ['a notin (b,c)', {}, true],
    ['a notin (b,c)', { a: 'b' }, false],
    ['a>1', { a: '2' }, true],
    ['a<1', { a: '2' }, false],
    ['a>1', { a: 'x' }, false],
    ['x.io/y=z , b', { 'x.io/y': 'z', b: '' }, true],
    ['a=b,c!=d', { a: 'b', c: 'd' }, false],
  ])('%s on %j is %s', (text, labels, want) => {
    expect(matchesLabels(parseLabelSelector(text), labels)).toBe(want);
  });

  it.each([
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['a in b', "unable to parse requirement: found 'b', expected: '('"],
    ['a in (b', "unable to parse requirement: found '', expected: ',', or ')'"],
    ['=b', "unable to parse requirement: found '=', expected: !, identifier, or 'end of string'"],
    ['a>x', 'must be an integer'],
    ['a=b,', "found '', expected: identifier after ','"],
    ['-a=b', 'must be a qualified name'],
    ['a=b c', "found 'c', expected: ',' or 'end of string'"],
  ])('refuses %s', (text, message) => {
    expect(() => parseLabelSelector(text)).toThrow(message);
  });

  it('parses any text or says 400', () => {
    const piece = fc.constantFrom(
      'a',
      'b',
      '=',
      '!',
      ',',
      '(',
      ')',
      ' in ',
      ' notin ',
      '<',
      '>',
      ' ',
      'x/y',
      '-',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        try {
          const selector = parseLabelSelector(pieces.join(''));
          return (
            parseLabelSelector(formatLabelSelector(selector)).requirements.length ===
            selector.requirements.length
          );
        } catch (error) {
          return isPodwrightError(error, 'E_API') && error.detail['httpCode'] === 400;
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('labelSelectorFromObject()', () => {
  it('selects nothing when absent, everything when empty', () => {
    expect(matchesLabels(labelSelectorFromObject(undefined), { a: 'b' })).toBe(false);
    expect(matchesLabels(labelSelectorFromObject({}), { a: 'b' })).toBe(true);
  });

  it('needs labels and expressions', () => {
    const selector = labelSelectorFromObject({
      matchLabels: { a: 'b' },
      matchExpressions: [
        { key: 'c', operator: 'NotIn', values: ['d'] },
        { key: 'e', operator: 'Exists' },
      ],
    });
    expect(formatLabelSelector(selector)).toBe('a=b,c notin (d),e');
    expect(matchesLabels(selector, { a: 'b', e: '' })).toBe(true);
    expect(matchesLabels(selector, { a: 'b', c: 'd', e: '' })).toBe(false);
  });

  it('selects nothing by an operator that it does not know', () => {
    const selector = labelSelectorFromObject({ matchExpressions: [{ key: 'c', operator: 'Near' }] });
    expect(matchesLabels(selector, { c: '1' })).toBe(false);
  });
});

describe('labelSelectorFromMap()', () => {
  it('selects nothing when empty', () => {
    expect(matchesLabels(labelSelectorFromMap({}), {})).toBe(false);
    expect(matchesLabels(labelSelectorFromMap({ a: 'b' }), { a: 'b', c: 'd' })).toBe(true);
  });
});

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
