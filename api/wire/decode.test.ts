import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeObject, unknownFieldCountMax } from './decode.ts';
import { findKind, findKindByName, type Kind } from '#api/schema/kinds.ts';
import { builtInTypes } from '#api/schema/built-in-types.ts';

const deployments = findKind('apps', 'v1', 'deployments') as Kind;
const pods = findKind('', 'v1', 'pods') as Kind;
const fixtures: { readonly objects: Readonly<Record<string, { readonly json: Record<string, unknown> }>> } =
  JSON.parse(readFileSync(new URL('../fixtures/protobuf-0.36.4.json', import.meta.url), 'utf8'));

describe('decodeObject()', () => {
  const known = Object.entries(fixtures.objects).filter(
    ([, { json }]) => findKindByName(String(json['apiVersion']), String(json['kind'])) !== undefined,
  );
  it.each(known)('knows every field of the upstream fixture: %s', (_name, { json }) => {
    const kind = findKindByName(String(json['apiVersion']), String(json['kind'])) as Kind;
    const { unknownFields } = decodeObject(kind, json);
    expect(unknownFields).toEqual([]);
  });

  it.each(known)('changes nothing the second time: %s', (_name, { json }) => {
    const kind = findKindByName(String(json['apiVersion']), String(json['kind'])) as Kind;
    const { object } = decodeObject(kind, json);
    expect(decodeObject(kind, object)).toEqual({ object, unknownFields: [] });
  });

  it('drops unknown fields and names them', () => {
    const input = {
      metadata: { bogus: 1 },
      spec: { bogus: 1, template: { spec: { containers: [{ name: 'c', x: 1 }] } } },
    };
    const { object, unknownFields } = decodeObject(deployments, input);
    expect(unknownFields).toEqual(['metadata.bogus', 'spec.bogus', 'spec.template.spec.containers[0].x']);
    expect(JSON.stringify(object)).not.toMatch(/bogus|"x"/);
  });

  it('bounds how many it names', () => {
    const input = Object.fromEntries(Array.from({ length: 1000 }, (_item, index) => [`x${index}`, 1]));
    expect(decodeObject(pods, input).unknownFields).toHaveLength(unknownFieldCountMax);
  });

  it.each([
    [
      { spec: { replicas: '2' } },
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { spec: { replicas: 1.5 } },
      'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { spec: { replicas: 3_000_000_000 } },
      'json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { spec: [] },
      'json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec',
    ],
    [
      { metadata: { labels: { a: 1 } } },
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      { spec: { template: { spec: { containers: {} } } } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container',
    ],
    [
      { metadata: { creationTimestamp: 'now' } },
      'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"',
    ],
    ['x', 'json: cannot unmarshal string into Go value of type v1.Deployment'],
  ])('refuses %j as Go does', (input, message) => {
    expect(() => decodeObject(deployments, input)).toThrow(message);
  });

  it('gives the shape of Go: no nulls, no empty lists, canonical quantities and times', () => {
    const { object } = decodeObject(pods, {
      metadata: {
        name: 'p',
        labels: {},
        annotations: null,
        creationTimestamp: '2026-01-02T03:04:05.678+01:00',
      },
      spec: {
        hostNetwork: false,
        nodeName: '',
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'c', args: [], resources: { requests: { cpu: '0.5', memory: '1024Mi' } } }],
      },
    });
    expect(object).toEqual({
      metadata: { name: 'p', creationTimestamp: '2026-01-02T02:04:05Z' },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'c', resources: { requests: { cpu: '500m', memory: '1Gi' } } }],
      },
      status: {},
    });
  });

  it('refuses data that are no base64', () => {
    const secrets = findKind('', 'v1', 'secrets') as Kind;
    expect(() => decodeObject(secrets, { data: { a: 'a!b' } })).toThrow(
      'illegal base64 data at input byte 1',
    );
    expect(() => decodeObject(secrets, { data: { a: 'YQ==' } })).not.toThrow();
  });

  it('shares nothing with its input', () => {
    const input = { data: { a: '1' } };
    const { object } = decodeObject(findKind('', 'v1', 'configmaps') as Kind, input);
    expect(object['data']).not.toBe(input.data);
  });

  it('keeps microseconds where the type has them', () => {
    const { object } = decodeObject(
      { schema: builtInTypes, typeName: 'coordination.v1.LeaseSpec' },
      { renewTime: '2026-01-02T03:04:05.678901Z' },
    );
    expect(object).toEqual({ renewTime: '2026-01-02T03:04:05.678901Z' });
  });
});
