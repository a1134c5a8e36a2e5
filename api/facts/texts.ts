import { readFileSync } from 'node:fs';
import { brotliDecompressSync } from 'node:zlib';
import type { TypeTexts } from '#api/schema/type-source.ts';
import { memberOf } from '#api/wire/json.ts';

/** texts-1.36.json.br: by the names of schema-1.36.json, and of scalars that OpenAPI has a type for. */
export interface TextFacts {
  readonly source: string;
  readonly types: Readonly<Record<string, TypeTexts>>;
}

/**
 * 0.7 MB of text, which hardly anybody asks for: held only as long as the collector of garbage leaves it, so that a document of many
 * types reads the file once, and a server keeps none of it.
 */
let held: WeakRef<TextFacts> | undefined;

function textFacts(): TextFacts {
  const known = held?.deref();
  if (known !== undefined) return known;
  const bytes = brotliDecompressSync(readFileSync(new URL('texts-1.36.json.br', import.meta.url)));
  const facts: TextFacts = JSON.parse(bytes.toString());
  held = new WeakRef(facts);
  return facts;
}

/** What is said of a type of Kubernetes; undefined if nothing is known of it. */
export function builtInTexts(typeName: string): TypeTexts | undefined {
  return memberOf(textFacts().types, typeName);
}
