import type { JsonObject } from '#api/meta/object.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { RequestScope } from '#control-plane/apiserver/serve/request.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';

/** An object that was POSTed to a subresource of another. */
export interface PostedInput {
  readonly route: ResourceRoute;
  readonly namespace: string;
  readonly name: string;
  readonly object: JsonObject;
  /** What it is of. */
  readonly taken: Kind;
  /** Who writes it, as metadata.managedFields has it. */
  readonly manager: string;
  readonly dryRun: boolean;
  /** Of the request that brought it. */
  readonly scope: RequestScope;
}
