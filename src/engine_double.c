/* The engine in double precision, and the registry of the names in its tables. */
#include "engine.h"

/* A function that names the rows of a table. */
#define NAMES(table, rows)                                                                         \
  static const char *table##_name(int i) { return i < NN_COUNT(rows) ? rows[i].name : NULL; }

static const struct {
  const char *name;
} roles[] = {{"weight"}, {"bias"}, {"log_sigma"}, {"gain"}, {"shift"}, {"noise"}},
  terms[] = {{"nll"},         {"kl_latent"},  {"kl_free"}, {"sparsity"},
             {"contraction"}, {"kl_weights"}, {"penalty"}},
  noises[] = {{"fixed"}, {"shared"}, {"each"}};

NAMES(function, nn_functions)
NAMES(activation, nn_activations)
NAMES(family, nn_families)
NAMES(layer, nn_layers)
NAMES(posterior, nn_posteriors)
NAMES(prior, nn_priors)
NAMES(estimator, nn_estimators)
NAMES(optimizer, nn_optimizers)
NAMES(schedule, nn_schedules)
NAMES(role, roles)
NAMES(term, terms)
NAMES(noise, noises)

#define ENTRY(table)                                                                               \
  { #table, table##_name }
const nn_names nn_registry[] = {ENTRY(function),  ENTRY(activation), ENTRY(family),
                                ENTRY(layer),     ENTRY(posterior),  ENTRY(prior),
                                ENTRY(estimator), ENTRY(optimizer),  ENTRY(schedule),
                                ENTRY(role),      ENTRY(term),       ENTRY(noise)};
const int nn_n_registry = NN_COUNT(nn_registry);

int nn_family_eta(int family) { return nn_families[family].eta_per_response; }
int nn_family_y(int family) { return nn_families[family].y_per_response; }
int nn_family_free(int family) { return nn_families[family].has_free; }
int nn_posterior_independent(int posterior) {
  return nn_posteriors[posterior].depends == NN_ON_NONE;
}
int nn_posterior_moments(int posterior) { return nn_posteriors[posterior].moments != NULL; }
int nn_optimizer_slots(int optimizer) { return nn_optimizers[optimizer].n_slots; }
int nn_optimizer_full_batch(int optimizer) { return nn_optimizers[optimizer].full_batch; }
double nn_layer_below(int layer) { return nn_layers[layer].below; }
const char *nn_layer_option(int layer) { return nn_layers[layer].option; }
