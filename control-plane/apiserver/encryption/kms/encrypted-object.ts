import { ProtobufReader } from '#api/wire/protobuf-reader.ts';
import { ProtobufWriter } from '#api/wire/protobuf-writer.ts';

/**
 * What is stored of a value that was sealed by a KMS plugin's key (k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/v2,
 * EncryptedObject): the value, and what the plugin made of the key that sealed it.
 */
export interface EncryptedObject {
  readonly encryptedData: Uint8Array;
  readonly keyId: string;
  readonly encryptedDekSource: Uint8Array;
  readonly annotations: ReadonlyMap<string, Uint8Array>;
  readonly sourceType: SourceType;
}

/** What the source is: a key of AES-GCM, or (of all that are written today) a seed of such keys. */
export type SourceType = 'key' | 'seed';

const keyIdBytesMax = 1024;
const sourceBytesMax = 1024;
const annotationsBytesMax = 32 * 1024;

/** Of a key: its name and the name's domain (apimachinery, IsFullyQualifiedDomainName). */
const domainName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+\.?$/;

export function encodeEncryptedObject(object: EncryptedObject): Uint8Array {
  const { encryptedData, keyId, encryptedDekSource, annotations, sourceType } = object;
  const writer = new ProtobufWriter().bytes(1, encryptedData).string(2, keyId).bytes(3, encryptedDekSource);
  for (const [key, value] of annotations) {
    writer.message(4, (entry) => entry.string(1, key).bytes(2, value));
  }
  return writer.bool(5, sourceType === 'seed').finish();
}

/** @throws Error, in kube-apiserver's words where it has some */
export function decodeEncryptedObject(bytes: Uint8Array): EncryptedObject {
  const reader = new ProtobufReader(bytes);
  const annotations = new Map<string, Uint8Array>();
  const read = { encryptedData: empty, keyId: '', encryptedDekSource: empty, type: 0 };
  while (!reader.isAtEnd) {
    const { field, wire } = reader.readTag();
    if (field === 1 && wire === 2) read.encryptedData = reader.readBytes();
    else if (field === 2 && wire === 2) read.keyId = textOf(reader.readBytes());
    else if (field === 3 && wire === 2) read.encryptedDekSource = reader.readBytes();
    else if (field === 4 && wire === 2) annotations.set(...readEntry(reader.readBytes()));
    else if (field === 5 && wire === 0) read.type = reader.readVarint();
    else reader.skip(wire);
  }
  const { type, ...rest } = read;
  if (type !== 0 && type !== 1) throw new Error(`unknown encryptedDEKSourceType: ${type}`);
  const object = { ...rest, annotations, sourceType: type === 1 ? 'seed' : 'key' } as const;
  checkEncryptedObject(object);
  return object;
}

const empty: Uint8Array = new Uint8Array();

function readEntry(bytes: Uint8Array): [key: string, value: Uint8Array] {
  const reader = new ProtobufReader(bytes);
  let [key, value] = ['', empty];
  while (!reader.isAtEnd) {
    const { field, wire } = reader.readTag();
    if (field === 1 && wire === 2) key = textOf(reader.readBytes());
    else if (field === 2 && wire === 2) value = reader.readBytes();
    else reader.skip(wire);
  }
  return [key, value];
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}

/** Of what is read, and of what a plugin answers (`ValidateEncryptedObject`). @throws Error */
export function checkEncryptedObject(object: Omit<EncryptedObject, 'sourceType'>): void {
  const { encryptedData, keyId, encryptedDekSource, annotations } = object;
  if (encryptedData.byteLength === 0) throw new Error('encrypted data is empty');
  const { byteLength: sourceBytes } = encryptedDekSource;
  if (sourceBytes === 0)
    throw new Error('failed to validate encrypted DEK source: encrypted DEK source is empty');
  if (sourceBytes > sourceBytesMax) {
    throw new Error(
      `failed to validate encrypted DEK source: encrypted DEK source is ${sourceBytes} bytes, which exceeds the max size of ${sourceBytesMax}`,
    );
  }
  const why = keyIdProblem(keyId);
  if (why !== undefined) throw new Error(`failed to validate key id: ${why}`);
  let bytes = 0;
  for (const [key, value] of annotations) {
    bytes += Buffer.byteLength(key) + value.byteLength;
    if (!domainName.test(key) || key.length > 253) {
      throw new Error(
        `failed to validate annotations: ${JSON.stringify(key)} should be a fully qualified domain name`,
      );
    }
  }
  if (bytes > annotationsBytesMax) {
    throw new Error(
      `failed to validate annotations: total size of annotations is ${bytes}, which exceeds the max size of ${annotationsBytesMax}`,
    );
  }
}

export function keyIdProblem(keyId: string): string | undefined {
  const bytes = Buffer.byteLength(keyId);
  if (bytes === 0) return 'keyID is empty';
  return bytes > keyIdBytesMax
    ? `keyID is ${bytes} bytes, which exceeds the max size of ${keyIdBytesMax}`
    : undefined;
}
