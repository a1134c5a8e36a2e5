import { describe, expect, it } from 'vitest';
import { parseDeclaration, planTexts } from './generate-texts.ts';
import { schemaFacts } from './facts.ts';
import { builtInTexts } from './texts.ts';

/** Types whose fields upstream says nothing of, and single fields of the kind. */
const silentTypes = ['meta.v1.GroupResource', 'version.Info', 'apiextensions.v1.ExternalDocumentation'];
const silentFields = [
  'certificates.v1.CertificateSigningRequest.metadata',
  'certificates.v1.CertificateSigningRequestList.metadata',
  'meta.v1.WatchEvent.type',
  'networking.v1.IngressRule.http',
];

describe('builtInTexts()', () => {
  it('says something of every type and field of which upstream does', () => {
    // Of group versions that are off by default the package of texts has none.
    const types = Object.entries(schemaFacts().types).filter(([type]) => !/\.v\d(alpha|beta)\d\./.test(type));
    const without = types.flatMap(([type, { f: fields = {} }]) => {
      const texts = builtInTexts(type) ?? {};
      return ['', ...Object.keys(fields)]
        .filter((field) => (texts[field] ?? '') === '')
        .map((field) => (field === '' ? type : `${type}.${field}`));
    });
    const silent = without.filter((name) => !name.startsWith('apiextensions.v1.JSONSchemaProps.'));
    const ofTypes = silent.filter((name) => silentTypes.some((type) => name.startsWith(type)));
    expect(silent.filter((name) => !ofTypes.includes(name)).toSorted()).toEqual(silentFields);
    expect(ofTypes).toHaveLength(12);
    expect(without.length - silent.length).toBe(35);
  });

  it('has no type that the facts have not', () => {
    expect(builtInTexts('core.v1.Nothing')).toBeUndefined();
    expect(builtInTexts('toString')).toBeUndefined();
  });

  it.each(['quantity', 'intstr', 'time', 'microtime', 'raw', 'fieldsv1'])('says what a %s is', (scalar) => {
    expect(builtInTexts(scalar)?.['']).toMatch(/^\w+ (is|stores) /);
  });

  it('keeps lines and what stars say', () => {
    expect(builtInTexts('batch.v1.PodFailurePolicyRule')?.['action']).toContain('\n- FailIndex: ');
    expect(builtInTexts('rbac.v1.PolicyRule')?.['nonResourceURLs']).not.toContain('\\*');
  });
});

const declaration = `import { Model } from "@kubernetes-models/base";
/**
 * Pod is a collection.
 */
export interface IPod extends TypeMeta {
    "apiVersion": "v1";
    /**
     * Every \\*.example.com, \\*\\/5 too.
     *
     * - one
     *   more
     */
    "spec"?: IIoK8sApiCoreV1PodSpec;
    "status"?: IIoK8sApiCoreV1PodStatus;
}
/**
 * Pod is a collection.
 */
export declare class Pod extends Model<IPod> implements IPod {
    "spec"?: IIoK8sApiCoreV1PodSpec;
}
export type { IPod as IIoK8sApiCoreV1Pod, Pod as IoK8sApiCoreV1Pod };
`;

describe('parseDeclaration()', () => {
  it('reads what stands before a type and its fields', () => {
    const spec = 'Every *.example.com, */5 too.\n\n- one\n  more';
    expect(parseDeclaration(declaration)).toEqual([
      'IoK8sApiCoreV1Pod',
      { '': 'Pod is a collection.', spec },
    ]);
  });

  it('reads a type that is no struct', () => {
    const source =
      '/**\n * Time is a wrapper.\n */\nexport type ITime = string;\nexport type { ITime as IIoK8sApimachineryPkgApisMetaV1Time };\n';
    expect(parseDeclaration(source)).toEqual([
      'IoK8sApimachineryPkgApisMetaV1Time',
      { '': 'Time is a wrapper.' },
    ]);
  });

  it('takes a file that declares no type of Kubernetes for none', () => {
    expect(parseDeclaration('export * from "./Pod.js";\n')).toBeUndefined();
  });
});

describe('planTexts()', () => {
  it('says of every kind what all objects have, and leaves out what no facts know', () => {
    const planned = planTexts(
      new Map([
        ['IoK8sApimachineryPkgApisMetaV1DeleteOptions', { apiVersion: 'which version', kind: 'which kind' }],
        ['IoK8sApiCoreV1Pod', { '': 'a pod', spec: 'what it is to be', bogus: 'no field' }],
      ]),
    );
    expect(planned['core.v1.Pod']).toEqual({
      '': 'a pod',
      apiVersion: 'which version',
      kind: 'which kind',
      spec: 'what it is to be',
    });
    expect(planned['rbac.v1.RoleRef']).toEqual({});
  });
});
