import {
  forbiddenField,
  invalidField,
  invalidStruct,
  notSupportedField,
  notSupportedStruct,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  at,
  equalStored,
  isObject,
  listOf,
  numberOf,
  objectOf,
  objectsOf,
  stringOf,
} from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, formatErrors } from '#api/validation/format.ts';

const methods = ['ByNamespace', 'ByUser'];
const verbChoices = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'proxy',
  'update',
  'watch',
];
const precedenceMax = 10_000;
/** Kinds of subjects, and where each of them is told. */
const subjectFields: ReadonlyMap<string, string> = new Map([
  ['Group', 'group'],
  ['ServiceAccount', 'serviceAccount'],
  ['User', 'user'],
]);

const anything = {
  resourceRules: [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] },
  ],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
};
const group = (name: string): JsonObject => ({ kind: 'Group', group: { name } });
/** What two schemas must say (internalbootstrap of kubernetes pkg/apis/flowcontrol). */
const mandatory: ReadonlyMap<string, JsonObject> = new Map([
  [
    'exempt',
    {
      priorityLevelConfiguration: { name: 'exempt' },
      matchingPrecedence: 1,
      rules: [{ subjects: [group('system:masters')], ...anything }],
    },
  ],
  [
    'catch-all',
    {
      priorityLevelConfiguration: { name: 'catch-all' },
      matchingPrecedence: precedenceMax,
      distinguisherMethod: { type: 'ByUser' },
      rules: [{ subjects: [group('system:unauthenticated'), group('system:authenticated')], ...anything }],
    },
  ],
]);

/** Complaints about a FlowSchema (kubernetes pkg/apis/flowcontrol/validation). */
export function validateFlowSchema(schema: JsonObject): readonly FieldError[] {
  const spec = objectOf(schema['spec']);
  const name = stringOf(at(schema, 'metadata.name'));
  const fixed = mandatory.get(name);
  const method = spec['distinguisherMethod'];
  return [
    ...precedenceErrors(numberOf(spec['matchingPrecedence']), name),
    ...when(isObject(method) && !methods.includes(stringOf(method['type'])), () =>
      notSupportedStruct(
        'spec.distinguisherMethod.type',
        goValue('flowcontrol.v1.FlowDistinguisherMethod', method),
        methods,
      ),
    ),
    ...levelErrors(stringOf(at(spec, 'priorityLevelConfiguration.name'))),
    ...objectsOf(spec['rules']).flatMap((rule, index) => ruleErrors(rule, `spec.rules[${index}]`)),
    ...when(fixed !== undefined && !equalStored(fixed, spec), () =>
      invalidStruct(
        'spec',
        goValue('flowcontrol.v1.FlowSchemaSpec', spec),
        `spec of '${name}' must equal the fixed value`,
      ),
    ),
  ];
}

function precedenceErrors(precedence: number, name: string): readonly FieldError[] {
  const complain = (detail: string): FieldError =>
    invalidField('spec.matchingPrecedence', precedence, detail);
  return [
    ...when(precedence <= 0, () => complain('must be a positive value')),
    ...when(precedence > precedenceMax, () => complain(`must not be greater than ${precedenceMax}`)),
    ...when(precedence === 1 && name !== 'exempt', () =>
      complain("only the schema named 'exempt' may have matchingPrecedence 1"),
    ),
  ];
}

function levelErrors(name: string): readonly FieldError[] {
  const field = 'spec.priorityLevelConfiguration.name';
  return name === ''
    ? [requiredField(field, 'must reference a priority level')]
    : formatErrors(field, name, dnsSubdomain);
}

function ruleErrors(rule: JsonObject, path: string): readonly FieldError[] {
  const subjects = objectsOf(rule['subjects']);
  const resources = objectsOf(rule['resourceRules']);
  const urls = objectsOf(rule['nonResourceRules']);
  return [
    ...when(subjects.length === 0, () =>
      requiredField(`${path}.subjects`, 'subjects must contain at least one value'),
    ),
    ...subjects.flatMap((subject, index) => subjectErrors(subject, `${path}.subjects[${index}]`)),
    ...when(resources.length === 0 && urls.length === 0, () =>
      requiredField(path, 'at least one of resourceRules and nonResourceRules has to be non-empty'),
    ),
    ...resources.flatMap((each, index) => resourceRuleErrors(each, `${path}.resourceRules[${index}]`)),
    ...urls.flatMap((each, index) => urlRuleErrors(each, `${path}.nonResourceRules[${index}]`)),
  ];
}

function subjectErrors(subject: JsonObject, path: string): readonly FieldError[] {
  const kind = stringOf(subject['kind']);
  const own = subjectFields.get(kind);
  if (own === undefined) return [notSupportedField(`${path}.kind`, kind, [...subjectFields.keys()])];
  const told = subject[own];
  const inner = isObject(told)
    ? toldErrors(told, kind, `${path}.${own}`)
    : [requiredField(`${path}.${own}`, `${own} is required when subject kind is '${kind}'`)];
  // kube-apiserver's order of the others.
  const others = ['ServiceAccount', 'User', 'Group'].filter((other) => other !== kind);
  return [
    ...inner,
    ...others.flatMap((other) => {
      const field = subjectFields.get(other) ?? '';
      return when(isObject(subject[field]), () =>
        forbiddenField(`${path}.${field}`, `${field} is forbidden when subject kind is not '${other}'`),
      );
    }),
  ];
}

function toldErrors(told: JsonObject, kind: string, path: string): readonly FieldError[] {
  const [name, namespace] = [stringOf(told['name']), stringOf(told['namespace'])];
  if (name === '' && kind !== 'ServiceAccount') return [requiredField(`${path}.name`)];
  if (kind !== 'ServiceAccount') return [];
  return [
    ...(name === '' ? [requiredField(`${path}.name`)] : []),
    ...(name === '' || name === '*' ? [] : formatErrors(`${path}.name`, name, dnsSubdomain)),
    ...(namespace === ''
      ? [requiredField(`${path}.namespace`, 'must specify namespace for service account')]
      : formatErrors(`${path}.namespace`, namespace, dnsLabel)),
  ];
}

function verbErrors(rule: JsonObject, path: string): readonly FieldError[] {
  const verbs = listOf(rule['verbs']);
  const field = `${path}.verbs`;
  if (verbs.length === 0) return [requiredField(field, 'verbs must contain at least one value')];
  if (verbs.includes('*')) return aloneErrors(verbs, field, 'verbs');
  return when(!verbs.every((verb) => verbChoices.includes(stringOf(verb))), () =>
    notSupportedField(field, verbs, verbChoices),
  );
}

function aloneErrors(values: readonly unknown[], field: string, what: string): readonly FieldError[] {
  return when(values.length > 1 && values.includes('*'), () =>
    invalidField(field, values, `if '*' is present, must not specify other ${what}`),
  );
}

function someErrors(
  values: readonly unknown[],
  field: string,
  [one, several]: readonly [one: string, several: string],
): readonly FieldError[] {
  return values.length === 0
    ? [requiredField(field, `resource rules must supply at least one ${one}`)]
    : aloneErrors(values, field, several);
}

function resourceRuleErrors(rule: JsonObject, path: string): readonly FieldError[] {
  const namespaces = listOf(rule['namespaces']);
  const field = `${path}.namespaces`;
  const unscoped = 'resource rules that are not cluster scoped must supply at least one namespace';
  const each = namespaces.flatMap((name, index) =>
    dnsLabel(stringOf(name)).map((text) =>
      invalidField(
        `${field}[${index}]`,
        name,
        `each member of this list must be '*' or a DNS-1123 label; ${text}`,
      ),
    ),
  );
  return [
    ...verbErrors(rule, path),
    ...someErrors(listOf(rule['apiGroups']), `${path}.apiGroups`, ['api group', 'api groups']),
    ...someErrors(listOf(rule['resources']), `${path}.resources`, ['resource', 'resources']),
    ...when(namespaces.length === 0 && rule['clusterScope'] !== true, () => requiredField(field, unscoped)),
    ...(namespaces.includes('*') ? aloneErrors(namespaces, field, 'namespaces') : each),
  ];
}

function urlRuleErrors(rule: JsonObject, path: string): readonly FieldError[] {
  const urls = listOf(rule['nonResourceURLs']).map(stringOf);
  const field = `${path}.nonResourceURLs`;
  const each = urls.flatMap((url, index) => {
    const detail = urlFault(url);
    return detail === undefined ? [] : [invalidField(`${field}[${index}]`, url, detail)];
  });
  return [
    ...verbErrors(rule, path),
    ...when(urls.length === 0, () => requiredField(field, 'nonResourceURLs must contain at least one value')),
    ...(urls.includes('*') ? aloneErrors(urls, field, 'non-resource URLs') : each),
  ];
}

function urlFault(url: string): string | undefined {
  if (url === '') return 'must not be empty';
  if (url === '/') return undefined;
  if (!url.startsWith('/')) return 'must start with slash';
  if (url.includes(' ')) return 'must not contain white-space';
  if (url.includes('//')) return 'must not contain double slash';
  const stars = url.split('*').length - 1;
  return stars > 1 || (stars === 1 && !url.endsWith('/*'))
    ? 'wildcard can only do suffix matching'
    : undefined;
}
