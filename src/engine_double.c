/* The engine in double precision, and the registry of the names in its tables. */
#include "engine.h"

static const struct {
  const char *name;
} roles[] = {{"weight"}, {"bias"}, {"log_sigma"}, {"gain"}, {"shift"}, {"noise"}, {"embedding"}},
  terms[] = {{"nll"},         {"kl_latent"},  {"kl_free"}, {"sparsity"},
             {"contraction"}, {"kl_weights"}, {"penalty"}},
  noises[] = {{"fixed"}, {"shared"}, {"each"}};

// clang-format off
#define TABLES(ROW) \
  ROW(function, nn_functions) ROW(activation, nn_activations) ROW(primitive, nn_primitives) ROW(family, nn_families) ROW(layer, nn_layers) \
  ROW(posterior, nn_posteriors) ROW(prior, nn_priors) ROW(estimator, nn_estimators) ROW(optimizer, nn_optimizers) \
  ROW(schedule, nn_schedules) ROW(role, roles) ROW(term, terms) ROW(noise, noises)

/* What R must know of a row: the property, the table, its value. */
#define PROPERTIES(ROW) \
  ROW(activation_moments, activation, nn_activations[row].moments != NULL) /* those at a random input are known */ \
  ROW(primitive_arity, primitive, nn_primitives[row].arity) /* numbers that it reads */ \
  ROW(family_eta, family, family_eta_rows(row, 0)) /* rows of eta per response, without constants */ \
  ROW(family_y, family, nn_families[row].y_per_response) /* rows of y per response */ \
  ROW(family_min_free, family, nn_families[row].min_free) /* free scalars of a response */ \
  ROW(family_max_free, family, nn_families[row].max_free) \
  ROW(family_expected, family, nn_families[row].expected != NULL) /* its expectation over eta is known */ \
  ROW(posterior_depends, posterior, (int)nn_posteriors[row].depends) /* on none, its unit's, earlier, all weights */ \
  ROW(posterior_in_last, posterior, nn_posteriors[row].in_last) /* only those of the last layer do */ \
  ROW(posterior_moments, posterior, nn_posteriors[row].moments != NULL) /* those of units are known */ \
  ROW(optimizer_slots, optimizer, nn_optimizers[row].n_slots) \
  ROW(optimizer_full_batch, optimizer, nn_optimizers[row].full_batch)
// clang-format on

#define NAMES(table, rows)                                                                         \
  static const char *table##_name(int i) { return i < NN_COUNT(rows) ? rows[i].name : NULL; }
#define TABLE(table, rows) {#table, table##_name},
TABLES(NAMES)
const nn_names nn_registry[] = {TABLES(TABLE)};
const int nn_n_registry = NN_COUNT(nn_registry);

#define OF_ROW(name, table, value)                                                                 \
  static int name(int row) { return value; }
#define PROPERTY(name, table, value) {#name, #table, name},
PROPERTIES(OF_ROW)
const nn_property nn_properties[] = {PROPERTIES(PROPERTY)};
const int nn_n_properties = NN_COUNT(nn_properties);

int nn_optimizer_slots(int optimizer) { return optimizer_slots(optimizer); }
int nn_optimizer_full_batch(int optimizer) { return nn_optimizers[optimizer].full_batch; }
double nn_layer_below(int layer) { return nn_layers[layer].below; }
const char *nn_layer_option(int layer) { return nn_layers[layer].option; }
