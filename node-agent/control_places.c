#include "node-agent/control_places.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/crc32c.h"

const char *control_places_get(const struct agent_config *config, int number, char storage[CONTROL_PLACE_LEN])
{
    const char *configured = config->control_socket;
    if (number >= CONTROL_PLACES || (number > 0 && configured[0]))
        return NULL;
    if (configured[0])
        snprintf(storage, CONTROL_PLACE_LEN, "%s", configured);
    else if (number == 0)
        snprintf(storage, CONTROL_PLACE_LEN, "%s/control.sock", config->state_folder);
    else
        snprintf(storage, CONTROL_PLACE_LEN, "/dev/shm/tributary-agent-%08" PRIx32 ".sock",
                 crc32c(bytes_of_string(config->state_folder)));
    return storage;
}
