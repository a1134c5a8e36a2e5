import type { CheckedKind } from '#api/cel/admission/type-check.ts';
import { types, type CelType } from '#api/cel/check/cel-type.ts';
import { schemaType } from '#api/cel/declared/schema-type.ts';
import { sourceType } from '#api/cel/declared/source-type.ts';
import type { CustomResourceDefinition, NamedRuleWithOperations, ParamKind } from '#api/generated/objects.ts';
import { builtInTypes } from '#api/schema/built-in-types.ts';
import { findKind, findKindByName, parseGroupVersion, type Kind } from '#api/schema/kinds.ts';
import { parseSchema } from '#api/structural/parse.ts';
import type { StructuralSchema } from '#api/structural/structural-schema.ts';

type Definitions = readonly CustomResourceDefinition[];

/** A definition that a policy may be about, by what the policy says of its kind. */
export type AskedDefinition =
  | { readonly resource: string; readonly group: string }
  | { readonly kind: string; readonly group: string; readonly version: string };

/** Which definitions the kinds of a policy's rules and of its parameters may have; of Kubernetes' own kinds none. */
export function askedDefinitions(
  rules: readonly NamedRuleWithOperations[],
  paramKind: ParamKind | undefined,
): readonly AskedDefinition[] {
  const named = rules.flatMap((rule) =>
    namedIn(rule).flatMap(({ group, version, resource }) =>
      group === '' || findKind(group, version, resource) !== undefined ? [] : [{ resource, group }],
    ),
  );
  const { apiVersion = '', kind = '' } = paramKind ?? {};
  if (findKindByName(apiVersion, kind) !== undefined || !apiVersion.includes('/')) return named;
  return [...named, { kind, ...parseGroupVersion(apiVersion) }];
}

/** The kinds that rules name one by one; of a rule with a wildcard or a subresource none. */
export function kindsOfRules(
  rules: readonly NamedRuleWithOperations[],
  definitions: Definitions,
): readonly CheckedKind[] {
  const found = new Map<string, CheckedKind>();
  for (const rule of rules) {
    for (const kind of kindsOfRule(rule, definitions))
      found.set(`${kind.group}/${kind.version}/${kind.kind}`, kind);
  }
  return [...found.values()];
}

function kindsOfRule(rule: NamedRuleWithOperations, definitions: Definitions): readonly CheckedKind[] {
  return namedIn(rule).flatMap(({ group, version, resource }) => {
    const isIt = ({ names }: CustomResourceDefinition['spec']): boolean => names.plural === resource;
    return (
      kindOf(findKind(group, version, resource)) ?? customKind(definitions, group, { version, isIt }) ?? []
    );
  });
}

interface NamedResource {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
}

function namedIn({
  apiGroups = [],
  apiVersions = [],
  resources = [],
}: NamedRuleWithOperations): readonly NamedResource[] {
  const isWild = [...apiGroups, ...apiVersions].includes('*');
  if (isWild || resources.some((resource) => /[*/]/.test(resource))) return [];
  return apiGroups.flatMap((group) =>
    apiVersions.flatMap((version) => resources.map((resource) => ({ group, version, resource }))),
  );
}

/** The kind of parameters; undefined where nobody serves it. */
export function kindOfParams(
  { apiVersion = '', kind = '' }: ParamKind,
  definitions: Definitions,
): CheckedKind | undefined {
  const known = kindOf(findKindByName(apiVersion, kind));
  if (known !== undefined) return known;
  const { group, version } = parseGroupVersion(apiVersion);
  return customKind(definitions, group, { version, isIt: ({ names }) => names.kind === kind });
}

function kindOf(kind: Kind | undefined): CheckedKind | undefined {
  if (kind === undefined) return undefined;
  return { group: kind.group, version: kind.version, kind: kind.kind, type: sourceType(kind) };
}

function customKind(
  definitions: Definitions,
  group: string,
  {
    version,
    isIt,
  }: { readonly version: string; readonly isIt: (spec: CustomResourceDefinition['spec']) => boolean },
): CheckedKind | undefined {
  const definition = definitions.find(({ spec }) => spec.group === group && isIt(spec));
  const served = definition?.spec.versions.find(({ name, served }) => name === version && served);
  if (definition === undefined || served === undefined) return undefined;
  const { kind } = definition.spec.names;
  const schema = parseSchema(served.schema?.openAPIV3Schema);
  return { group, version, kind, type: wholeType(schema, kind) };
}

/** Made when it is first asked for: a start takes no time for it. */
const metadata = (): CelType => sourceType({ schema: builtInTypes, typeName: 'meta.v1.ObjectMeta' });

/** An object of a custom kind with all of its metadata; of no schema anything. */
function wholeType(schema: StructuralSchema, name: string): CelType {
  const declared = schemaType(schema, name, true);
  if (declared?.celType.kind !== 'object') return types.dyn;
  const { celType } = declared;
  return {
    ...celType,
    fieldOf: (field) => (field === 'metadata' ? { type: metadata() } : celType.fieldOf(field)),
  };
}
