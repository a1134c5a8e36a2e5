import { Option, type Command } from 'commander';

/** `podwright install oci` and `podwright uninstall oci`. */
export function addOciCommands(install: Command, uninstall: Command): void {
  const binDir = (): Option =>
    new Option('--bin-dir <dir>', 'where the program goes').default('/usr/local/sbin');
  install
    .command('oci')
    .description('podwright-oci, an OCI runtime for containerd, podman and others')
    .addOption(binDir())
    .action(async (options: { readonly binDir: string }) =>
      (await import('./install-oci.ts')).runInstallOci(options),
    );
  uninstall
    .command('oci')
    .description('podwright-oci; containers that run go on')
    .addOption(binDir())
    .action(async (options: { readonly binDir: string }) =>
      (await import('./install-oci.ts')).runUninstallOci(options),
    );
}
