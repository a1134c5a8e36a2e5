/**
 * Writes the TypeScript interfaces of the gRPC contracts beside their .proto files. `node proto/generate.ts` writes; with
 * `--check` it exits 1 when a file is not current.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  loadSync,
  type AnyDefinition,
  type MessageTypeDefinition,
  type PackageDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader';
import { contracts, decoding } from './contract.ts';

/** What a message's descriptor holds (google/protobuf/descriptor.proto), as far as it is looked at. */
interface MessageDescriptor {
  readonly name: string;
  readonly field: readonly FieldDescriptor[];
  readonly enumType: readonly {
    readonly name: string;
    readonly value: readonly { readonly name: string }[];
  }[];
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
  const values = message.enumType.find(({ name }) => name === short)?.value;
  const one =
    scalars[field.type] ?? (values === undefined ? short : values.map(({ name }) => `'${name}'`).join(' | '));
  if (field.label === 'LABEL_REPEATED') {
    return `  readonly ${field.name}: readonly ${values === undefined ? one : `(${one})`}[];`;
  }
  if (!isAlwaysThere) return `  readonly ${field.name}?: ${one};`;
  return `  readonly ${field.name}: ${one}${field.type === 'TYPE_MESSAGE' ? ' | null' : ''};`;
}

function isMessage(definition: AnyDefinition): definition is MessageTypeDefinition<object, object> {
  return 'format' in definition && typeof definition['format'] === 'string';
}

/** All interfaces of a contract, and the services with their methods by name. */
function render(definitions: PackageDefinition): string {
  const messages: string[] = [];
  const services: string[] = [];
  for (const [fullName, definition] of Object.entries(definitions)) {
    if (isMessage(definition)) {
      const descriptor = definition.type as MessageDescriptor;
      // Members of a oneof are not there unless they were sent; everything else has its default.
      const empty = definition.deserialize(Buffer.alloc(0));
      const fields = descriptor.field.map((field) => renderField(descriptor, field, field.name in empty));
      messages.push(`export interface ${descriptor.name} {\n${fields.join('\n')}\n}`);
      continue;
    }
    const methods = Object.entries(definition as ServiceDefinition).map(
      ([name, { requestType, responseType }]) => {
        const [request, response] = [requestType, responseType].map(
          ({ type }) => (type as MessageDescriptor).name,
        );
        return `    readonly ${name}: Method<${request}, ${response}>;`;
      },
    );
    services.push(`  readonly '${fullName}': {\n${methods.join('\n')}\n  };`);
  }
  return [...messages, `export interface Services {\n${services.join('\n')}\n}`].join('\n\n');
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
