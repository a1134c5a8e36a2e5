import { invalidField } from '#api/field-error.ts';
import { at, isObject, listOf, numberOf, objectOf, stringOf } from '#api/json.ts';
import { badRequest, conflict, invalid, notFound } from '#api/status.ts';
import { formatTime } from '#api/time.ts';
import { tokenIssuer, type BoundObject } from '#control-plane/apiserver/auth/tokens.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { ApiResponse } from '#control-plane/apiserver/request.ts';
import { objectResponse, type Style } from '#control-plane/apiserver/respond.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type { PostedInput } from './posted-input.ts';
import { readExisting } from './read-existing.ts';

const boundKinds: Readonly<Record<string, ReturnType<typeof builtIn>>> = {
  Pod: builtIn('', 'v1', 'pods'),
  Secret: builtIn('', 'v1', 'secrets'),
  Node: builtIn('', 'v1', 'nodes'),
};
const secondsMin = 600;
const secondsMax = 2 ** 32;
const secondsDefault = 3600;

/** A token for the service account, for a time and for audiences, bound to an object when that is named. */
export async function requestToken(
  context: ServerContext,
  input: PostedInput,
  style: Style,
): Promise<ApiResponse> {
  const { namespace, name, object } = input;
  const account = await readExisting(context, input.route);
  const spec = objectOf(object['spec']);
  const seconds =
    spec['expirationSeconds'] === undefined ? secondsDefault : numberOf(spec['expirationSeconds']);
  checkSeconds(seconds);
  const given = listOf(spec['audiences']).map(stringOf);
  const audiences = given.length === 0 ? [tokenIssuer] : given;
  const bound = isObject(spec['boundObjectRef'])
    ? await findBound(context, namespace, spec['boundObjectRef'])
    : undefined;
  const { token, expiresAtMs } = await context.tokens.sign({
    namespace,
    name,
    uid: stringOf(at(account.object, 'metadata.uid')),
    audiences,
    expirationSeconds: seconds,
    bound,
  });
  const creationTimestamp = formatTime(context.clock.now());
  return objectResponse(
    201,
    {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name, namespace, creationTimestamp },
      spec: {
        ...spec,
        audiences,
        expirationSeconds: seconds,
        boundObjectRef: spec['boundObjectRef'] ?? null,
      },
      status: { token, expirationTimestamp: formatTime(expiresAtMs) },
    },
    style,
  );
}

function checkSeconds(seconds: number): void {
  const refuse = (detail: string): never => {
    const error = invalidField('spec.expirationSeconds', seconds, detail);
    throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', [error]);
  };
  if (seconds < secondsMin) refuse('may not specify a duration less than 10 minutes');
  if (seconds > secondsMax) refuse('may not specify a duration larger than 2^32 seconds');
}

async function findBound(
  context: ServerContext,
  namespace: string,
  reference: ReturnType<typeof objectOf>,
): Promise<BoundObject> {
  const kindName = stringOf(reference['kind']);
  const name = stringOf(reference['name']);
  const kind = boundKinds[kindName];
  if (kind === undefined)
    throw badRequest(`cannot bind token for serviceaccount to object of type ${JSON.stringify(kindName)}`);
  const entry = await context.registry.read(kind, kind.namespaced ? namespace : '', name);
  if (entry === undefined) throw notFound(kind, name);
  const uid = stringOf(at(entry.object, 'metadata.uid'));
  const asked = stringOf(reference['uid']);
  if (asked !== '' && asked !== uid) {
    throw conflict(
      kind,
      name,
      `the UID in the bound object reference (${asked}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  return { kind: kindName, name, uid };
}
