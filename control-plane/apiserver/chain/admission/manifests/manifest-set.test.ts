import { describe, expect, it } from 'vitest';
import { at } from '#api/wire/json.ts';
import {
  mutatingKinds,
  validatingKinds,
} from '#control-plane/apiserver/chain/admission/policies/policy-book.ts';
import { validatingConfigurations } from '#control-plane/apiserver/chain/admission/webhooks/hook-book.ts';
import { readManifests } from './manifest-set.ts';

const group = 'admissionregistration.k8s.io/v1';
const rules = '[{ apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods] }]';
const policy = (name: string, more = ''): string => `
apiVersion: ${group}
kind: ValidatingAdmissionPolicy
metadata: { name: ${name} }
spec:
  matchConstraints: { resourceRules: ${rules} }
  validations: [{ expression: "true" }]
${more}`;
const binding = (name: string, policyName: string, more = ''): string => `
apiVersion: ${group}
kind: ValidatingAdmissionPolicyBinding
metadata: { name: ${name} }
spec: { policyName: ${policyName}, validationActions: [Deny] ${more} }
`;
const hook = (client: string): string => `
apiVersion: ${group}
kind: ValidatingWebhookConfiguration
metadata: { name: h.static.k8s.io }
webhooks:
- name: h.example.com
  clientConfig: ${client}
  sideEffects: None
  admissionReviewVersions: [v1]
`;
const file = (path: string, text: string): { readonly path: string; readonly text: string } => ({
  path,
  text,
});
const policies = Object.values(validatingKinds);

describe('readManifests()', () => {
  it('reads documents and Lists, defaulted and in the order of their names', () => {
    const list = `kind: List\napiVersion: v1\nitems:\n- ${policy('a.static.k8s.io').trim().replaceAll('\n', '\n  ')}\n`;
    const { objects } = readManifests(
      [
        file(
          '/m/1.yaml',
          `${policy('b.static.k8s.io')}---\n${binding('c.static.k8s.io', 'b.static.k8s.io')}`,
        ),
        file('/m/2.yaml', list),
        file('/m/3.json', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [] })),
      ],
      policies,
    );
    const names = [...objects].map(([resource, found]) => [
      resource,
      found.map((each) => at(each, 'metadata.name')),
    ]);
    expect(names).toEqual([
      ['validatingadmissionpolicies', ['a.static.k8s.io', 'b.static.k8s.io']],
      ['validatingadmissionpolicybindings', ['c.static.k8s.io']],
    ]);
    expect(at(objects.get('validatingadmissionpolicies')?.[0], 'spec.failurePolicy')).toBe('Fail');
  });

  it('has another hash for another text or name', () => {
    const hashOf = (path: string, name: string): string =>
      readManifests([file(path, policy(`${name}.static.k8s.io`))], policies).hash;
    expect(hashOf('/m/1.yaml', 'a')).toBe(hashOf('/m/1.yaml', 'a'));
    expect(new Set([hashOf('/m/1.yaml', 'a'), hashOf('/m/1.yaml', 'b'), hashOf('/m/2.yaml', 'a')]).size).toBe(
      3,
    );
  });

  it.each<{ readonly name: string; readonly texts: readonly string[]; readonly want: string }>([
    { name: 'another name', texts: [policy('a')], want: 'metadata.name: must end with ".static.k8s.io"' },
    {
      name: 'a name that is there twice',
      texts: [policy('a.static.k8s.io'), policy('a.static.k8s.io')],
      want: '/m/2.yaml: ValidatingAdmissionPolicy "a.static.k8s.io" is there twice: in /m/1.yaml, too',
    },
    {
      name: 'a binding of no policy',
      texts: [binding('a.static.k8s.io', 'b.static.k8s.io')],
      want: 'binding "a.static.k8s.io": no file has policy "b.static.k8s.io"',
    },
    {
      name: 'a binding of what is in the API',
      texts: [binding('a.static.k8s.io', 'b')],
      want: 'spec.policyName: must end with ".static.k8s.io"',
    },
    {
      name: 'parameters',
      texts: [policy('a.static.k8s.io', '  paramKind: { apiVersion: v1, kind: ConfigMap }')],
      want: 'spec.paramKind: is not supported in static manifests',
    },
    {
      name: 'what the parameters are',
      texts: [
        policy('a.static.k8s.io'),
        binding(
          'a.static.k8s.io',
          'a.static.k8s.io',
          ', paramRef: { name: p, parameterNotFoundAction: Deny }',
        ),
      ],
      want: 'spec.paramRef: is not supported in static manifests',
    },
    {
      name: 'an expression that is wrong',
      texts: [policy('a.static.k8s.io').replace('"true"', '"1 +"')],
      want: '"a.static.k8s.io": Invalid value: "1 +": compilation failed',
    },
    {
      name: 'an unknown field',
      texts: [policy('a.static.k8s.io', '  more: 1')],
      want: 'unknown field "spec.more"',
    },
    { name: 'another kind', texts: ['apiVersion: v1\nkind: Pod'], want: 'v1 Pod is none of' },
    { name: 'no YAML', texts: ['a: ['], want: '/m/1.yaml: ' },
  ])('refuses $name', ({ texts, want }) => {
    const files = texts.map((text, index) => file(`/m/${index + 1}.yaml`, text));
    expect(() => readManifests(files, policies)).toThrow(want);
  });

  it('takes hooks by URL alone', () => {
    const read = (client: string): number =>
      readManifests([file('/m/h.yaml', hook(client))], [validatingConfigurations]).objects.size;
    expect(read('{ url: "https://hooks.example.com" }')).toBe(1);
    expect(() => read('{ service: { namespace: ns, name: s } }')).toThrow(
      'webhooks[0].clientConfig.service: is not supported in static manifests; give a url',
    );
  });

  it('takes what the plugin is about alone', () => {
    expect(() =>
      readManifests([file('/m/1.yaml', policy('a.static.k8s.io'))], Object.values(mutatingKinds)),
    ).toThrow('ValidatingAdmissionPolicy is none of');
  });
});
