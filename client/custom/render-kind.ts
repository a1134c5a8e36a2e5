import type { CustomResourceDefinition } from '#api/generated/objects.ts';
import { PodwrightError } from '#base/errors.ts';
import { at, objectOf, stringOf } from '#api/wire/json.ts';
import { kindOf } from './kind-of.ts';
import { renderComment, renderSchemaType } from './render-schema.ts';

/** Only what is used: compilers of others complain of the rest. */
function typeImports(body: string): string {
  const names = ['KindRef', ...(/\bKubeObject &/.test(body) ? ['KubeObject'] : []), 'ObjectMeta'];
  return `import type { ${names.join(', ')} } from "podwright/client";\n`;
}

/**
 * A TypeScript module of definitions: of each an interface of its objects, and the kind for a client. A definition that serves several
 * versions is rendered in the one that `kindOf` takes.
 * @throws {E_INVALID} {E_LIMIT} naming the definition
 */
export function renderKinds(definitions: readonly CustomResourceDefinition[], version?: string): string {
  if (definitions.length === 0)
    throw new PodwrightError('E_INVALID', 'write types: there is no CustomResourceDefinition');
  const kinds = definitions.map((definition) => renderKind(definition, version));
  const body = kinds.map(({ text }) => text).join('\n');
  const names = kinds.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new PodwrightError('E_INVALID', `write types: two definitions are of kind ${twice}`);
  return `// Made by podwright types. What is changed here is lost the next time.\n${typeImports(body)}\n${body}`;
}

function renderKind(
  definition: CustomResourceDefinition,
  version: string | undefined,
): { readonly name: string; readonly text: string } {
  const kind = kindOf(definition, version);
  for (const name of [kind.kind, kind.resource])
    if (!/^[A-Za-z][A-Za-z0-9]*$/.test(name))
      throw new PodwrightError(
        'E_INVALID',
        `write types of ${definition.metadata?.name}: ${JSON.stringify(name)} is no name`,
      );
  const schema = objectOf(
    definition.spec?.versions.find(({ name }) => name === kind.version)?.schema?.openAPIV3Schema,
  );
  const {
    apiVersion: _version,
    kind: _kind,
    metadata: _metadata,
    ...fields
  } = objectOf(schema['properties']);
  const body = renderSchemaType({ ...schema, type: 'object', properties: { metadata: {}, ...fields } });
  const shape = body.replace('readonly metadata?: unknown | undefined;', identity(kind));
  const constant = constantName(kind.kind, kind.resource);
  const comment = renderComment(stringOf(at(schema, 'description')), '');
  const text = [
    `${comment}export type ${kind.kind} = ${shape};\n`,
    `\n/** ${kind.group}/${kind.version} ${kind.kind}, for a client. */\n`,
    `export const ${constant}: KindRef<${kind.kind}> = ${JSON.stringify(kind, undefined, 2).replaceAll(/"(\w+)":/g, '$1:')};\n`,
  ];
  return { name: kind.kind, text: text.join('') };
}

function identity({
  group,
  version,
  kind,
}: {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}): string {
  return [
    `readonly apiVersion?: ${JSON.stringify(`${group}/${version}`)} | undefined;`,
    `  readonly kind?: ${JSON.stringify(kind)} | undefined;`,
    '  readonly metadata?: ObjectMeta | undefined;',
  ].join('\n');
}

/** The plural as the kind's own capitals have it: `networkPolicies` of NetworkPolicy and networkpolicies. */
function constantName(kind: string, plural: string): string {
  let same = 0;
  while (same < kind.length && kind[same]?.toLowerCase() === plural[same]) same++;
  const name = `${kind.slice(0, same)}${plural.slice(same)}`;
  return `${name.slice(0, 1).toLowerCase()}${name.slice(1)}`;
}
