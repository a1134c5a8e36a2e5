import { cms, deployments, failure, ns, type Row } from './error-rows.fixture.ts';

const optionsInvalid = (message: string, causes: readonly object[]): object =>
  failure(422, 'Invalid', `DeleteOptions.meta.k8s.io "" is invalid: ${message}`, {
    group: 'meta.k8s.io',
    kind: 'DeleteOptions',
    causes,
  });
const notPolicy = (text: string): string =>
  `Unsupported value: "${text}": supported values: "Foreground", "Background", "Orphan", "nil"`;
const both = 'Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set';

/** What is asked of a deletion that cannot be (ValidateDeleteOptions). */
const deleteRows: readonly Row[] = [
  ...['Nope', ''].map((policy) => ({
    name: `a deletion by the policy "${policy}"`,
    method: 'DELETE',
    path: `${cms}/x?propagationPolicy=${policy}`,
    status: 422,
    want: optionsInvalid(`propagationPolicy: ${notPolicy(policy)}`, [
      { reason: 'FieldValueNotSupported', message: notPolicy(policy), field: 'propagationPolicy' },
    ]),
  })),
  {
    name: 'a deletion by a policy and its predecessor',
    method: 'DELETE',
    path: `${cms}/x`,
    options: { body: { propagationPolicy: 'Orphan', orphanDependents: true } },
    status: 422,
    want: optionsInvalid(`propagationPolicy: ${both}`, [
      { reason: 'FieldValueInvalid', message: both, field: 'propagationPolicy' },
    ]),
  },
];

const unnamed = failure(
  400,
  'BadRequest',
  'the name of the object (x based on URL) was undeterminable: name must be provided',
);
const otherName = (kind: string): object =>
  failure(400, 'BadRequest', `name in URL does not match name in ${kind} object`);

/** Objects that do not say which they are, or say another than the URL. */
const nameRows: readonly Row[] = [
  ...[`${cms}/x`, `${deployments}/x`, `${deployments}/x/status`, `${deployments}/x/scale`].map((path) => ({
    name: `PUT of ${path} without a name`,
    method: 'PUT',
    path,
    options: { body: { metadata: {} } },
    status: 400,
    want: unnamed,
  })),
  ...['', 'other'].flatMap((name) =>
    [
      ['eviction', 'Eviction', {}] as const,
      ['binding', 'Binding', { target: { kind: 'Node', name: 'n' } }] as const,
    ].map(([subresource, kind, rest]) => ({
      name: `a ${kind} of "${name}" for another pod`,
      method: 'POST',
      path: `${ns}/pods/x/${subresource}`,
      options: { body: { metadata: { name }, ...rest } },
      status: 400,
      want: otherName(kind),
    })),
  ),
  {
    name: 'a Binding of nobody',
    method: 'POST',
    path: `${ns}/bindings`,
    options: { body: { metadata: {}, target: { kind: 'Node', name: 'n' } } },
    status: 400,
    want: failure(400, 'BadRequest', 'Name parameter required.'),
  },
];

/** What writes are refused for. */
export const writeRows: readonly Row[] = [...deleteRows, ...nameRows];
