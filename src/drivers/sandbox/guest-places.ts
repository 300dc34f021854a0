/**
 * Guest places: which paths of the host mean what inside, as words alone.
 *   SBX-13.1  A workspace that is the root folder, or that a folder of the system or of the kernel is or lies in, is refused: it would cover what
 *             a program needs to run.
 *   SBX-13.2  The home is at its own path, unless the workspace is or holds it or it is the system's; then it is in /tmp.
 */
import { fail, type SysError } from "../../abi/errno.ts";
import { done, type Result } from "../../lib/result.ts";

const systemFolders = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
const kernelFolders = ["/proc", "/sys", "/dev"];

/** Whether a path is a folder or lies in it. */
export function inside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}

export function isSystem(path: string): boolean {
  return systemFolders.some((folder) => inside(path, folder));
}

export function checkRoot(root: string): Result<void, SysError> {
  const covered = [...systemFolders, ...kernelFolders, "/etc", "/run", "/tmp", "/var/tmp"].some((folder) => inside(folder, root));
  if (!covered && !kernelFolders.some((folder) => inside(root, folder))) return done;
  return fail("EINVAL", `a guest cannot work in ${root}: the folder belongs to the system; work in a folder of your own`);
}

export function homeOf(root: string, home: string): string {
  const taken = [...systemFolders, ...kernelFolders, "/etc", "/run"].some(
    (folder) => inside(home, folder) || inside(folder, home),
  );
  return taken || inside(home, root) || !home.startsWith("/") ? "/tmp/home" : home;
}
