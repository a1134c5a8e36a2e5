import { isPodwrightError } from '#base/errors.ts';
import { forbidden, statusOf } from '#api/errors/status.ts';
import { isSameKind } from '#api/kinds/rules-of.ts';
import { nameOrPrefix } from '#api/wire/json.ts';
import type {
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { masters } from '#control-plane/apiserver/chain/authz/privileged.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { createObject } from '#control-plane/apiserver/verbs/create.ts';
import { serverManager } from '#control-plane/apiserver/verbs/owners.ts';
import { namespaces } from './namespaces.ts';

/** As whom kube-apiserver asks itself. */
const server: User = { name: 'system:apiserver', groups: [masters] };

/** The namespace of a new object is made where it is not there (plugin/pkg/admission/namespace/autoprovision). */
export const namespaceAutoProvision: AdmissionPlugin = {
  name: 'NamespaceAutoProvision',
  handles: ({ operation, kind, namespace, dryRun }) =>
    operation !== 'create' || dryRun || namespace === '' || isSameKind(kind, namespaces) ? 'no' : 'mayWait',
  admit: provide,
};

async function provide(context: ServerContext, request: AdmissionRequest): Promise<undefined> {
  const { kind, namespace, name } = request.attributes;
  if ((await context.registry.read(namespaces, '', namespace)) !== undefined) return;
  const object = { apiVersion: 'v1', kind: namespaces.kind, metadata: { name: namespace } };
  try {
    await createObject(context, {
      kind: namespaces,
      namespace: '',
      object,
      user: server,
      dryRun: false,
      manager: serverManager,
    });
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    const { status, httpCode } = statusOf(error);
    // Somebody else was first.
    if (httpCode === 409 && status.reason === 'AlreadyExists') return;
    throw forbidden(kind, name || nameOrPrefix(request.object ?? {}), error.message);
  }
}
