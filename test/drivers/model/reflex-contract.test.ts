import { gullibleDriver } from "../../../src/drivers/model/gullible.ts";
import { reflexDriver } from "../../../src/drivers/model/reflex.ts";
import { modelContract } from "../../contract/model.ts";

for (const open of [reflexDriver, gullibleDriver]) {
  const driver = open();
  modelContract({ name: driver.name, model: "", can: [], errnos: [], open: () => ({ driver: open(), close: () => {} }) });
}
