/**
 * Writes the TypeScript interfaces of the gRPC contracts beside their .proto files. `node proto/generate.ts` writes; with
 * `--check` it exits 1 when a file is not current.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  loadSync,
  type AnyDefinition,
  type EnumTypeDefinition,
  type MessageTypeDefinition,
  type PackageDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader';
import { contracts, decoding } from './contract.ts';

/** What a message's descriptor holds (google/protobuf/descriptor.proto), as far as it is looked at. */
interface MessageDescriptor {
  readonly name: string;
  readonly field: readonly FieldDescriptor[];
  readonly enumType: readonly EnumDescriptor[];
  readonly nestedType: readonly (MessageDescriptor & {
    readonly options: { readonly mapEntry: boolean } | null;
  })[];
}

interface EnumDescriptor {
  readonly name: string;
  readonly value: readonly { readonly name: string }[];
}

interface FieldDescriptor {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
}

const scalars: Readonly<Record<string, string>> = {
  TYPE_BOOL: 'boolean',
  TYPE_BYTES: 'Uint8Array',
  TYPE_DOUBLE: 'number',
  TYPE_INT32: 'number',
  TYPE_INT64: 'number',
  TYPE_STRING: 'string',
  TYPE_UINT32: 'number',
  TYPE_UINT64: 'number',
};

function renderField(message: MessageDescriptor, field: FieldDescriptor, isAlwaysThere: boolean): string {
  const short = field.typeName.split('.').at(-1) ?? '';
  const entry = message.nestedType.find(({ name, options }) => name === short && options?.mapEntry === true);
  if (entry !== undefined) {
    const value = entry.field.find(({ name }) => name === 'value');
    const of = value === undefined ? 'unknown' : typeOf(entry, value);
    return `  readonly ${field.name}: Readonly<Record<string, ${of}>>;`;
  }
  const one = typeOf(message, field);
  if (field.label === 'LABEL_REPEATED') {
    return `  readonly ${field.name}: readonly ${one.includes('|') ? `(${one})` : one}[];`;
  }
  if (!isAlwaysThere) return `  readonly ${field.name}?: ${one};`;
  return `  readonly ${field.name}: ${one}${field.type === 'TYPE_MESSAGE' ? ' | null' : ''};`;
}

function typeOf(message: MessageDescriptor, field: FieldDescriptor): string {
  const short = field.typeName.split('.').at(-1) ?? '';
  const values = message.enumType.find(({ name }) => name === short);
  return scalars[field.type] ?? (values === undefined ? short : unionOf(values));
}

function unionOf({ value }: EnumDescriptor): string {
  return value.map(({ name }) => `'${name}'`).join(' | ');
}

function isMessage(definition: AnyDefinition): definition is MessageTypeDefinition<object, object> {
  return 'format' in definition && 'deserialize' in definition;
}

function isEnum(definition: AnyDefinition): definition is EnumTypeDefinition {
  return 'format' in definition && !('deserialize' in definition);
}

/** All interfaces of a contract, and the services with their methods by name. */
function render(definitions: PackageDefinition): string {
  const messages: string[] = [];
  const services: string[] = [];
  const used = usedNames(definitions);
  for (const [fullName, definition] of Object.entries(definitions)) {
    if (isMessage(definition)) {
      const descriptor = definition.type as MessageDescriptor;
      // What protobuf brings along, as far as it is asked for.
      if (fullName.startsWith('google.protobuf.') && !used.has(descriptor.name)) continue;
      // Members of a oneof are not there unless they were sent; everything else has its default.
      const empty = definition.deserialize(Buffer.alloc(0));
      const fields = descriptor.field.map((field) => renderField(descriptor, field, field.name in empty));
      messages.push(`export interface ${descriptor.name} {\n${fields.join('\n')}\n}`);
    } else if (isEnum(definition)) {
      const descriptor = definition.type as EnumDescriptor;
      messages.push(`export type ${descriptor.name} = ${unionOf(descriptor)};`);
    } else services.push(renderService(fullName, definition));
  }
  return [...messages, `export interface Services {\n${services.join('\n')}\n}`].join('\n\n');
}

function usedNames(definitions: PackageDefinition): ReadonlySet<string> {
  const messages = Object.values(definitions).filter((definition) => isMessage(definition));
  const fields = messages.flatMap(({ type }) => (type as MessageDescriptor).field);
  return new Set(fields.map(({ typeName }) => typeName.split('.').at(-1) ?? ''));
}

function renderService(fullName: string, service: ServiceDefinition): string {
  const methods = Object.entries(service).map(([name, method]) => {
    const [request, response] = [method.requestType, method.responseType].map(
      ({ type }) => (type as MessageDescriptor).name,
    );
    const streams = method.requestStream ? 'both' : method.responseStream ? 'response' : undefined;
    const third = streams === undefined ? '' : `, '${streams}'`;
    return `    readonly ${name}: Method<${request}, ${response}${third}>;`;
  });
  return `  readonly '${fullName}': {\n${methods.join('\n')}\n  };`;
}

function textOf(file: string): string {
  const includeDirs = [join(import.meta.dirname, file, '..')];
  const definitions = loadSync(join(import.meta.dirname, file), { ...decoding, includeDirs });
  return `// Made from ${file} by generate.ts: messages as they are received. int64 is a number, exact up to 2^53.
import type { Method } from '#proto/contract.ts';

${render(definitions).replaceAll('{\n\n}', '{}')}
`;
}

function main(): void {
  for (const { file, types } of Object.values(contracts)) {
    const target = join(import.meta.dirname, types);
    const text = textOf(file);
    if (!process.argv.includes('--check')) {
      writeFileSync(target, text);
    } else if (readFileSync(target, 'utf8') !== text) {
      console.error(`proto/${types} is not current: node proto/generate.ts`);
      process.exitCode = 1;
    }
  }
}

main();
