import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { checkConfigDocument, readMappingFile, type DocumentKind } from '#api/config/config-document.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { describeError } from '#base/errors.ts';
import type { PluginConfiguration } from '#control-plane/apiserver/chain/admission/choice/plugin-row.ts';
import { wrong } from '#control-plane/apiserver/chain/admission/configuration.ts';
import type { CallBounds } from './hook-caller.ts';
import { identityNameOf, type HookIdentity } from './hook-identities.ts';

/** apiserver.config.k8s.io WebhookAdmissionConfiguration. */
const document: DocumentKind = {
  kind: 'WebhookAdmissionConfiguration',
  apiVersions: ['apiserver.config.k8s.io/v1', 'apiserver.config.k8s.io/v1alpha1'],
  fields: { kubeConfigFile: 'string', staticManifestsDir: 'string' },
};

/** As whom the server shows itself to hooks, by a kubeconfig whose users are called by hosts. @throws {E_INVALID} beginning with the field that is wrong */
export function readIdentities({
  value,
  directory,
}: PluginConfiguration): NonNullable<CallBounds['identity']> {
  const isOldName = value['kind'] === 'WebhookAdmission';
  const path = stringOf(
    checkConfigDocument(isOldName ? { ...value, kind: document.kind } : value, document)['kubeConfigFile'],
  );
  if (path === '') return () => undefined;
  const file = resolve(directory, path);
  const identities = identitiesOf(readMappingFile(file), dirname(file));
  const names = new Set(identities.keys());
  return (hostAndPort) => identities.get(identityNameOf(names, hostAndPort) ?? '');
}

function identitiesOf(kubeconfig: JsonObject, directory: string): ReadonlyMap<string, HookIdentity> {
  return new Map(
    objectsOf(kubeconfig['users']).map((entry, index) => {
      const user = objectOf(entry['user']);
      const text = (field: string): string | undefined =>
        textOf(user, { field, directory, path: `users[${index}]` });
      for (const field of ['exec', 'auth-provider', 'username', 'password']) {
        if (user[field] !== undefined) throw wrong(`users[${index}].user.${field}`, 'is not supported');
      }
      const token = stringOf(user['token']) || text('tokenFile')?.trim();
      return [
        stringOf(entry['name']),
        {
          certPem: text('client-certificate'),
          keyPem: text('client-key'),
          token: token === '' ? undefined : token,
        },
      ];
    }),
  );
}

interface Place {
  readonly field: string;
  readonly directory: string;
  readonly path: string;
}

function textOf(user: JsonObject, { field, directory, path }: Place): string | undefined {
  const data = stringOf(user[`${field}-data`]);
  if (data !== '') return Buffer.from(data, 'base64').toString('utf8');
  const file = stringOf(user[field]);
  if (file === '') return undefined;
  try {
    return readFileSync(resolve(directory, file), 'utf8');
  } catch (error) {
    throw wrong(`${path}.user.${field}`, describeError(error));
  }
}
